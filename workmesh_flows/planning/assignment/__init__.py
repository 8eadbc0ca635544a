"""Assigning entities to nodes; the entry point is :mod:`workmesh_flows.planning.assignment.plan`.

``capacity`` is what nodes hold and may hold. ``greedy`` places one entity after the other by the criterion.
Entities that remain are placed by ``repair``, which uses a tabu search (``packing``) over exchanges of
entities (``swaps``).
"""
