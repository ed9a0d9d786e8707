"""Rewrites that compete, or only pay together: explored instead of taken greedily.

The rules applied greedily stop where no single rewrite pays. What is explored here are sequences of rewrites that are
right (every guard of soundness holds) but need not pay one by one: two slices of one product, each of which would only
repeat the product if it were moved alone; a swap that costs, before a merge that more than makes up for it.

The literature this follows: TASO (Jia et al., SOSP 2019) searches graphs by cost, best first, and goes on from a
graph that is worse than the best so far by a bounded factor; so does `explore`, on windows of at most 30 nodes instead
of whole graphs, and a graph is ranked by what greedy rules make of it (a rollout), not by what it costs as it stands.
Every step is a rule with proven guards, so that nothing has to be verified numerically or corrected afterwards as in
PET (Wang et al., OSDI 2021). Equality saturation (Tensat, Yang et al., MLSys 2021) would keep all forms of a window at
once; it is not used, since guards ask for facts about one graph (users, ranges, shapes), which an e-graph of many
graphs does not have.
"""
