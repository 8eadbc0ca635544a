"""How an assignment places entities; the way in is :mod:`workmesh_flows.planning.assignment.plan`.

``rooms`` are what nodes hold and may hold. ``in_order`` places one entity after the other by the criterion. What is left
over then, ``making_room`` tries to place by a search (``packing``) in which entities change places (``swapping``).
"""
