"""The platform as the demo sees it: an HTTP address and a token, spoken to in NGSI-LD."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from haidang.demo.stations import AIR, RAIN, RIVER, Station
from haidang.kernel.errors import Denied, Unavailable
from haidang.kernel.instants import Instant, parse_instant

_MODEL = "https://smartdatamodels.org/"
CONTEXT: Mapping[str, str] = {
    **{kind.entity_type: kind.iri for kind in (AIR, RIVER, RAIN)},
    **{
        name: _MODEL + name
        for name in ("name", "address", "areaServed", "dataProvider", "source", "dateObserved")
    },
}
"""The terms we use, as the Smart Data Models define them; the core context is the platform's own."""

DATE_OBSERVED = CONTEXT["dateObserved"]

_TIMEOUT_S = 20.0


class PlatformUnavailable(Unavailable):
    """The platform at {url} does not answer right now: {reason}."""


class PlatformRefused(Denied):
    """The platform refused what the demo sent ({status}): {reason}."""


class Platform:
    """Describes stations to the platform and asks how far it has got with them."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url.rstrip("/")
        self._token = token

    def is_ready(self) -> bool:
        """Whether the platform says that it is ready."""
        try:
            self._call("GET", "/readyz")
        except (PlatformUnavailable, PlatformRefused):
            return False
        return True

    def describe(self, stations: Iterable[Station]) -> None:
        """Create the stations, or bring their description up to date."""
        body = [description_of(station) for station in stations]
        self._call("POST", "/ngsi-ld/v1/entityOperations/upsert?options=update", body)

    def reached(self, stations: Sequence[Station]) -> dict[str, Instant]:
        """The moment of the latest reading that the platform has of each station, by slug."""
        ids = ",".join(station.entity_id for station in stations)
        types = ",".join(sorted({station.kind.iri for station in stations}))
        query = urllib.parse.urlencode({"type": types, "id": ids, "limit": str(len(stations))})
        entities = self._call("GET", f"/ngsi-ld/v1/entities?{query}") or []
        moments = {entity["id"]: latest_moment(entity) for entity in entities}
        return {
            station.slug: moment
            for station in stations
            if (moment := moments.get(station.entity_id)) is not None
        }

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        sent = None
        if body is not None:
            sent = json.dumps(body).encode()
            headers |= {"Content-Type": "application/ld+json", "Idempotency-Key": str(uuid4())}
        request = urllib.request.Request(self._url + path, sent, headers, method=method)  # noqa: S310 (the address is the operator's)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 (as above)
                text = answer.read()
        except urllib.error.HTTPError as refused:
            reason = refused.read(2_000).decode("utf-8", "replace")
            if refused.code >= 500 or refused.code in (408, 429):
                raise PlatformUnavailable(url=self._url, reason=f"{refused.code} {reason}") from refused
            raise PlatformRefused(status=refused.code, reason=reason) from refused
        except OSError as trouble:
            raise PlatformUnavailable(url=self._url, reason=trouble) from trouble
        return json.loads(text) if text and method == "GET" and path.startswith("/ngsi-ld/") else None


def description_of(station: Station) -> dict[str, Any]:
    """A station as an NGSI-LD entity: who and where it is, and how real its values are."""

    def say(value: Any) -> dict[str, Any]:
        return {"type": "Property", "value": value}

    return {
        "@context": dict(CONTEXT),
        "id": station.entity_id,
        "type": station.kind.entity_type,
        "name": say(station.name),
        "address": say(
            {
                "addressLocality": station.ward,
                "addressRegion": station.province,
                "addressCountry": "VN",
            }
        ),
        "areaServed": say(station.ward),
        "source": say(station.source),
        "dataProvider": say(station.provider),
        "location": {
            "type": "GeoProperty",
            "value": {"type": "Point", "coordinates": [station.longitude, station.latitude]},
        },
    }


def latest_moment(entity: Mapping[str, Any]) -> Instant | None:
    """The moment of the latest reading of a station, `None` where it has none yet."""
    attribute = entity.get(DATE_OBSERVED, entity.get("dateObserved"))
    if isinstance(attribute, list):
        attribute = attribute[0] if attribute else None
    observed_at = (attribute or {}).get("observedAt")
    return parse_instant(observed_at) if observed_at else None
