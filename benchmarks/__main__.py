"""``make bench``: every benchmark, as a table of rows a second and ratios."""

from __future__ import annotations

from benchmarks import counting, packing, planning, push
from benchmarks.world import fast_node, postgresql

with postgresql() as engine, fast_node() as node:
    print(f"{'rows a second, PostgreSQL':32}{'baseline':>12}{'ours':>12}{'ratio':>9}")
    push.measure(engine, node)
    counting.measure(engine, node)
packing.measure()
planning.measure()
