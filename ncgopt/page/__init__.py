"""One page of HTML that shows what `optimize` or `diff` found: no network, nothing but a browser needed."""
