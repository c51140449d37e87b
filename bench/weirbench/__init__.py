"""Weir beside its peers on the same generated traffic: `./dev bench NAME`. See bench/README.md."""
