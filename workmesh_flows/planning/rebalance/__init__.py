"""How a rebalance finds its moves; the way in is :mod:`workmesh_flows.planning.rebalance.plan`.

``placement`` are the facts as numbers, ``shares`` what each node is to hold. ``shedding`` chooses what leaves a node,
``filling`` where it goes, ``pairs`` mends, all by the ``sums`` of weights; ``settling`` tries these together until the
nodes are even, ``spreading`` does the simpler job of a drain. ``journey`` turns the end into moves, ``waves`` gives them
an order within the caps, ``selection`` leaves some out, and ``telling`` puts them into words.
"""
