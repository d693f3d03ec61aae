"""The registry: every version of every preset, and the catalogue of those that can be chosen today."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from decimal import Decimal
from types import MappingProxyType

from procurement.procedures.presets import auctions, quotations
from procurement.procedures.settings import Procedure, Setting


class UnknownProcedure(LookupError):
    """No preset has this code, or not in this version."""


def _registry(procedures: Iterable[Procedure]) -> Mapping[str, Mapping[int, Procedure]]:
    versions: dict[str, dict[int, Procedure]] = {}
    for procedure in procedures:
        if procedure.version in versions.setdefault(procedure.code, {}):
            raise ValueError(f"{procedure.code} v{procedure.version} is registered twice")
        versions[procedure.code][procedure.version] = procedure
    return MappingProxyType(versions)


_VERSIONS = _registry((*quotations.PRESETS, *auctions.PRESETS))


def get(code: str, version: int | None = None) -> Procedure:
    """The preset in that version, or in its newest. Raises UnknownProcedure."""
    versions = _VERSIONS.get(code)
    if not versions:
        raise UnknownProcedure(f"there is no procedure {code!r}")
    if version is None:
        return versions[max(versions)]
    if version not in versions:
        raise UnknownProcedure(f"there is no version {version} of procedure {code!r}")
    return versions[version]


def catalogue() -> tuple[Procedure, ...]:
    """The newest version of every preset, in the order in which buyers are shown them."""
    return tuple(get(code) for code in _VERSIONS)


def sales() -> tuple[str, ...]:
    """The codes of the procedures in which whoever holds them sells: what is signed there is no spend."""
    return tuple(code for code in _VERSIONS if get(code).is_sale)


def as_json(procedure: Procedure) -> dict[str, object]:
    """The preset for people's tools: code, family, version, name, axes, defaults and bounds of every setting."""
    return {
        "code": procedure.code,
        "family": procedure.family.value,
        "version": procedure.version,
        "name": procedure.name,
        "summary": procedure.summary,
        "auction": procedure.auction.value if procedure.auction else None,
        "axes": {axis.name: getattr(procedure.axes, axis.name) for axis in fields(procedure.axes)},
        "settings": {setting.name: _setting_as_json(setting) for setting in procedure.settings},
    }


def _setting_as_json(setting: Setting) -> dict[str, object]:
    return {
        "label": setting.label,
        "kind": setting.kind,
        "unit": setting.unit or None,
        "default": setting.default,
        "minimum": _bound(setting, setting.minimum),
        "maximum": _bound(setting, setting.maximum),
        "choices": list(setting.choices) or None,
        "nullable": setting.nullable,
        "empty_means": setting.empty_means or None,
    }


def _bound(setting: Setting, bound: Decimal | None) -> int | str | None:
    if bound is None:
        return None
    return int(bound) if setting.kind == "integer" else str(bound)
