"""Arguments -> one library call -> export. Everything that takes long to import is imported inside its command."""

# Commands register themselves when their module is imported; the order is that of the help.
from particleflux.cli import spectra  # isort: skip
from particleflux.cli import compare  # isort: skip
from particleflux.cli import events  # isort: skip
from particleflux.cli import dose  # isort: skip
from particleflux.cli import history  # isort: skip
from particleflux.cli import forecast  # isort: skip
from particleflux.cli import verify  # isort: skip
from particleflux.cli import correlate  # isort: skip
from particleflux.cli import fetch  # isort: skip
from particleflux.cli import models  # isort: skip
from particleflux.cli import training  # isort: skip
from particleflux.cli import train_npe  # isort: skip
from particleflux.cli.app import app, main, train_app

app.add_typer(train_app, name="train")

__all__ = [
    "app",
    "compare",
    "correlate",
    "dose",
    "events",
    "fetch",
    "forecast",
    "history",
    "main",
    "models",
    "spectra",
    "train_npe",
    "training",
    "verify",
]
