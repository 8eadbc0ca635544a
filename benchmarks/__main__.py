"""``make bench``: every benchmark, as a table of rows per second and ratios."""

from __future__ import annotations

from benchmarks import counting, counting_history, idle, packing, planning, push
from benchmarks.world import fast_node, postgresql

with postgresql() as engine, fast_node() as node:
    push.measure(engine, node)
    idle.measure(engine, node)
    print(f"\n{'rows per second, PostgreSQL':32}{'baseline':>12}{'workmesh':>12}{'ratio':>9}")
    counting.measure(engine, node)
    counting_history.measure(engine, node)
packing.measure()
planning.measure()
