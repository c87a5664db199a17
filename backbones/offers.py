"""What other packages offer by entry points, found without importing them."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from backbones.errors import LoadError, RefusedOffer


@dataclass(frozen=True)
class Offer:
    """An entry point, and whose it is."""

    point: EntryPoint

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return self.point.name

    @property
    def package(self) -> str:
        """The distribution and its version, as `mycnn 0.1.0`."""
        dist = self.point.dist
        return "an unnamed package" if dist is None else f"{dist.name} {dist.version}"

    @property
    def who(self) -> str:
        """How messages begin that speak of it."""
        return f"`{self.name}` of the package {self.package}"

    def get(self) -> Any:
        """Import what is offered.

        Raises:
            LoadError: it cannot be imported, whatever the reason.
        """
        try:
            return self.point.load()
        except (Exception, SystemExit) as error:
            raise LoadError(f"{self.who} cannot be imported ({said(error)})") from error


def offers(group: str) -> list[Offer]:
    """Return all that installed packages offer under the group, by name, then package."""
    found = map(Offer, entry_points(group=group))
    return sorted(found, key=lambda offer: (offer.name, offer.package))


def offered(group: str, name: str, taken: Collection[str]) -> Offer | None:
    """Return who offers `name`, or None; warn with `RefusedOffer` where the name is taken.

    Args:
        group: of entry points.
        name: what is asked for.
        taken: names that the harness has itself: what is offered under them is refused.

    Raises:
        LoadError: several packages offer it: nobody decides in silence.
    """
    found = [offer for offer in offers(group) if offer.name == name]
    if name in taken:
        for offer in found:
            warnings.warn(refusal(offer), RefusedOffer, stacklevel=2)
        return None
    if len(found) > 1:
        packages = ", ".join(offer.package for offer in found)
        raise LoadError(f"`{name}` is offered by several packages ({packages}); {_REMEDY}")
    return found[0] if found else None


def refusal(offer: Offer) -> str:
    """Return the line on an offer whose name is taken."""
    return f"{offer.who} has a name that is taken and is not used; {_REMEDY}"


_REMEDY = "uninstall the package, or have its entry point renamed"


def said(error: BaseException) -> str:
    """Return type and first line of an error."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}".rstrip(": ")
