"""The shop's mesh in a module that other processes import; the settings name its database."""

from __future__ import annotations

from tests.support.shop import shop_mesh

mesh = shop_mesh()
