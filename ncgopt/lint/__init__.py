"""`ncgopt check`: what is wrong with a model, or could be better, each kind of finding with a code and a page.

`checks/` holds one check per file, `run` looks at one file, `many` at several, `formats/` writes what was found.
This module imports nothing: settings are read by every command.
"""
