"""How well the background is followed, on RADEM data: quiet days, the storm of May 2024 and injected events."""

from __future__ import annotations

import numpy as np
import xarray as xr
from common import arguments, radem_folder, recorded

from particleflux.background import auto_background, estimate_background, find_quiet, follow_background
from particleflux.instruments import load_instrument
from particleflux.io import open_radem
from particleflux.names import PDH, Quality
from particleflux.quality import accumulate, screen

CHANNELS = ["PDH1", "PDH3", "PDH4", "PDH5", "PDH6", "PDH7", "PDH8"]
QUIET_DAYS = [f"2024-05-{day:02d}" for day in (*range(1, 9), *range(29, 32))]
# Counts per minute above the background in PDH1-8 on 2024-05-11 (hard), 13 (middle) and 14 (soft).
SHAPES = {
    "hard": np.array([254.0, 425.0, 274.0, 202.0, 176.0, 148.0, 129.0, 131.0]),
    "middle": np.array([662.0, 515.0, 246.0, 87.0, 24.5, 5.0, 4.1, 2.7]),
    "soft": np.array([1314.0, 750.0, 277.0, 65.0, 9.6, 0.8, 0.25, 0.15]),
}


def held(followed: xr.Dataset) -> xr.DataArray:
    return (followed["quality"] & int(Quality.BACKGROUND_HELD)) != 0


def describe(followed: xr.Dataset) -> str:
    level, std = followed["background_level"].mean(), followed["background_level_std"].mean()
    return f"{float(level):.3f} +- {float(std):.3f} held {float(held(followed).mean()):4.0%}"


def predict(counts: xr.Dataset, followed: xr.Dataset, every: str) -> None:
    """Print how the counts of quiet days compare to the background predicted for them."""
    exposure = counts["exposure"]
    blocks = xr.Dataset(
        {
            "counts": counts["counts"],
            "exposure": exposure,
            "predicted": followed["background_rate"] * exposure,
            "std": followed["background_rate_std"] * exposure,
        }
    )
    summed = xr.concat([blocks.sel(time=day).resample(time=every).sum() for day in QUIET_DAYS], "time")
    summed = summed.sel(channel=CHANNELS)
    ratio = summed["counts"] / summed["predicted"]
    pull = (summed["counts"] - summed["predicted"]) / np.hypot(summed["std"], np.sqrt(summed["counts"]))
    inside = abs(pull) < 1
    early = ratio["time"] < np.datetime64("2024-05-15")
    print(f"\nQuiet days of May 2024 from October 2023, blocks of {every}")
    print("channel  ratio 1-8 May  ratio 29-31 May  std %  pull rms  within 1 std")
    for name in CHANNELS:
        first, last = ratio.sel(channel=name)[early.to_numpy()], ratio.sel(channel=name)[~early.to_numpy()]
        std = float((summed["std"] / summed["predicted"]).sel(channel=name).mean())
        rms = float(np.sqrt((pull.sel(channel=name) ** 2).mean()))
        fraction = float(inside.sel(channel=name).mean())
        means = f"{float(first.mean()):13.3f}  {float(last.mean()):15.3f}"
        print(f"{name}     {means}  {std:5.1%}  {rms:8.2f}  {fraction:12.0%}")
    pooled = float(inside.sel(channel=CHANNELS[1:]).mean())
    print(f"PDH3-8 pooled: {pooled:.0%} within one standard deviation")


def inject(counts: xr.Dataset, background: xr.Dataset) -> None:
    """Print how far injected events move the level of October 2023."""
    instrument, rng = load_instrument("radem"), np.random.default_rng(1)
    truth = follow_background(background, counts, instrument)["background_level"].to_numpy()
    hour = (counts["time"].to_numpy() - counts["time"].to_numpy()[0]) / np.timedelta64(1, "h")
    print("\nInjected events: onset 1 h, three of each in October 2023; level against the one without the event")
    print("shape   PDH7+8 peak  decay h  within +1 std  mean shift  99 % shift  99 % pull  held")
    for name, shape in SHAPES.items():
        for peak in (0.01, 0.05, 0.2, 1.0, 5.0):
            # Softer events are no larger in the low channels than the largest one on record by RADEM, times five.
            add = shape / shape[6:].sum() * peak * 50
            if add[0] > 7000:
                continue
            for decay in (6.0, 24.0):
                shift, pull, carried = [], [], []
                for onset in (100, 350, 600):
                    since = hour - onset
                    profile = np.where(since > 0, (1 - np.exp(-since)) * np.exp(-np.maximum(since, 0) / decay), 0.0)
                    event = counts.copy()
                    event["counts"] = counts["counts"] + rng.poisson(add * profile[:, None])
                    event["counts"].attrs = counts["counts"].attrs
                    followed = follow_background(background, event, instrument)
                    during = profile > 0.02
                    moved = (followed["background_level"].to_numpy() - truth)[during]
                    shift.append(moved)
                    pull.append(moved / followed["background_level_std"].to_numpy()[during])
                    carried.append(held(followed).to_numpy()[during])
                moves, pulls, share = np.concatenate(shift), np.concatenate(pull), np.concatenate(carried).mean()
                print(
                    f"{name:7s} {peak:11.2f}  {decay:7.0f}  {(pulls < 1).mean():13.1%}  {moves.mean():10.4f}  "
                    f"{np.percentile(moves, 99):10.4f}  {np.percentile(pulls, 99):9.2f}  {share:4.0%}"
                )


def report() -> None:
    folder = radem_folder()
    instrument = load_instrument("radem")
    october = screen(open_radem(folder, start="2023-10-01", stop="2023-10-31", channels=PDH), instrument)
    may = screen(open_radem(folder, start="2024-05-01", stop="2024-05-31", channels=PDH), instrument)
    background = estimate_background(october, instrument)
    followed = follow_background(background, may, instrument)
    predict(may, followed, "1D")
    predict(may, followed, "6h")

    print("\nLevel in May 2024, October 2023 = 1: single days alone, whole month, held")
    for day in range(9, 21):
        date = f"2024-05-{day:02d}"
        alone = follow_background(background, accumulate(may.sel(time=date), "15min"), instrument)
        month = followed.sel(time=date)
        print(date, " alone", describe(alone), "  month", describe(month))
    print("2024-05-15 12-18 UT:", describe(followed.sel(time=slice("2024-05-15T12:00", "2024-05-15T17:59"))))
    relative = (followed["background_rate_std"] / followed["background_rate"]).sel(time="2024-05-15").mean("time")
    print("2024-05-15 std/rate:", {name: round(float(relative.sel(channel=name)), 3) for name in CHANNELS})

    quiet = find_quiet(may, instrument)
    hours = {str(day): round(float(part.sum()) / 60) for day, part in quiet.groupby("time.date")}
    print("\nQuiet hours found by day:", hours)
    own = auto_background(may, instrument)
    print("Automatic background of May, counts per minute:", np.round(own["background_rate"].to_numpy() * 60, 2))
    inject(october, background)


def main() -> None:
    options = arguments(__doc__ or "", model=False).parse_args()
    with recorded("background", "Background followed through October 2023 and May 2024", folder=options.results):
        report()


if __name__ == "__main__":
    main()
