"""Planning a rebalance or a drain; the entry point is :mod:`workmesh_flows.planning.rebalance.plan`.

``placement`` holds the facts as numbers, ``target_load`` the load that each node should have. A rebalance is
a local search (``local_search``) that combines three steps, all based on subset sums of weights
(``subset_sum``): ``eviction`` selects entities that leave overloaded nodes, ``filling`` moves them to
underloaded nodes, ``exchange`` redistributes entities between two nodes. ``drain`` solves the simpler problem
of moving only what exceeds a limit. ``move_sequence`` turns the result into moves, ``waves`` orders them
within the caps, ``move_limit`` selects the most useful ones, and ``explanation`` adds reasons and numbers.
"""
