"""Manifests of older formats to the present one."""

from collections.abc import Mapping


def upgrade_first_format(found: Mapping[str, object]) -> Mapping[str, object]:
    """Bring a manifest of format 1 to format 2, which knows how healthy scans look.

    Bundles of format 1 have not learnt it and go on without that score. What is no manifest of
    format 1 is given back unchanged, to be refused.
    """
    domain = found.get("domain")
    if not isinstance(domain, dict) or "appearance" in domain:
        return found
    return {**found, "format_version": 2, "domain": {**domain, "appearance": None}}
