"""What can be fetched by name: where it lies, what it is, and the reader its answer must satisfy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from particleflux.io.feeds import open_swpc_dst, open_swpc_electrons, open_swpc_kp, open_swpc_solar_wind

#: The public data service of NOAA's Space Weather Prediction Center.
BASE = "https://services.swpc.noaa.gov"


@dataclass(frozen=True)
class Source:
    """A public file that keeps its address.

    Parameters
    ----------
    name : str
        What it is fetched as; the file is named after it.
    path : str
        Its address below the base.
    description : str
        One line, for people.
    read : callable
        The reader; an answer that it refuses is not kept.
    """

    name: str
    path: str
    description: str
    read: Callable[[Path], xr.Dataset]

    def url(self, base: str = BASE) -> str:
        """Give the address.

        Parameters
        ----------
        base : str
            Where a mirror has the files.

        Returns
        -------
        str
            Base and path.
        """
        return f"{base.rstrip('/')}/{self.path}"


#: By name. The solar wind has been in the `rtsw` files alone since April 2026, when SWPC took the 7-day files away.
SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            "goes-electrons",
            "json/goes/primary/integral-electrons-7-day.json",
            "GOES electron flux above 2 MeV, 5 min, 7 days",
            open_swpc_electrons,
        ),
        Source("kp", "products/noaa-planetary-k-index.json", "estimated planetary Kp, 3 h, 7 days", open_swpc_kp),
        Source(
            "solar-wind-plasma",
            "json/rtsw/rtsw_wind_1m.json",
            "solar wind speed and density, 1 min, 1 day",
            open_swpc_solar_wind,
        ),
        Source(
            "solar-wind-field",
            "json/rtsw/rtsw_mag_1m.json",
            "interplanetary magnetic field, 1 min, 1 day",
            open_swpc_solar_wind,
        ),
        Source(
            "dst",
            "products/kyoto-dst.json",
            "quick-look Dst of WDC Kyoto, 1 h, 7 days; not for commercial use",
            open_swpc_dst,
        ),
    )
}
