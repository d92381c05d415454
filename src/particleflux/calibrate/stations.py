"""Where the satellites stand, and so what a fit between two of them takes out."""

from __future__ import annotations

#: Degrees of west longitude while the satellite delivered the electron flux that is archived under its name.
#: GOES-15 moved from 89.5 W to 135 W in December 2011; GOES-10 ended its life at 60 W.
WEST_LONGITUDE = {
    "GOES-8": 75.0,
    "GOES-9": 135.0,
    "GOES-10": 135.0,
    "GOES-11": 135.0,
    "GOES-12": 75.0,
    "GOES-13": 75.0,
    "GOES-15": 135.0,
    "GOES-16": 75.2,
    "GOES-17": 137.2,
    "GOES-18": 137.0,
    "GOES-19": 75.2,
}


def split_name(name: str) -> tuple[str, str]:
    """Split "GOES-13/science" into satellite and product; the product is "" where only a satellite is named.

    Parameters
    ----------
    name : str
        Name of a satellite, with the product after a slash where one satellite has several.

    Returns
    -------
    tuple of str
        Satellite and product.
    """
    satellite, _, product = name.partition("/")
    return satellite, product


def describe_difference(satellite: str, reference: str) -> str:
    """Say what a mapping from one satellite to another takes out, beyond the detector.

    At 75 W the magnetic latitude of the geostationary orbit is near 11 degrees, at 135 W near 4: GOES-East sits on a
    higher L shell, farther out in the radiation belt, where the flux above 2 MeV is about 2.5 times lower. A fit
    between them removes a property of the belt together with that of the detectors, as a mean over the days it saw:
    what changes from day to day stays in as scatter, and so does the season (GOES-15 against GOES-13, 2014-2016: -0.13
    dex in January to +0.09 dex in August). Noon at 75 W comes 4 hours before noon at 135 W: one UTC day holds other
    local times of an event, and the ratio of hours runs from -0.11 dex at 13 UTC to +0.65 dex at 23 UTC. A mapping of
    daily fluence is none for hours of another station.

    Parameters
    ----------
    satellite, reference : str
        Names, with a product after a slash or without.

    Returns
    -------
    str
        One sentence for a table.
    """
    (first, product), (second, other) = split_name(satellite), split_name(reference)
    if satellite == reference:
        return "nothing: this is the reference"
    if first == second:
        return f"product: {product or 'unnamed'} against {other or 'unnamed'} processing of one detector"
    at, to = WEST_LONGITUDE.get(first), WEST_LONGITUDE.get(second)
    if at is None or to is None:
        return "detector, and what of the belt differs between the stations (station unknown)"
    if abs(at - to) < 5.0:
        return "detector: both stand at one longitude"
    return f"detector and belt together: {at:g} W to {to:g} W is another magnetic shell and local time"
