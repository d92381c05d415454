"""The card of a trained forecast, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from particleflux.errors import ArtefactError


def describe_card(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Sum up the card of a forecast in a few lines of name and value.

    Parameters
    ----------
    card : mapping
        Of an artefact of the kind `KIND`.

    Returns
    -------
    list of (str, str)
        Names and values.

    Raises
    ------
    ArtefactError
        If the card lacks an entry.
    """
    try:
        inputs, training, left_out = card["inputs"], card["training"], card["left_out"]
        reads = f"{inputs['n_days']} days of {', '.join(inputs['daily'])}"
        if inputs["hourly"]:
            reads += f"; {inputs['n_hours']} hours of {', '.join(inputs['hourly'])}"
        scores = (f"{value:.3f}" for value in left_out["prediction_efficiency"])
        return [
            ("forecasts", f"{card['target']}; {', '.join(map(str, card['lead_times']))} days ahead"),
            ("scale", str(card["reference"]) or "as measured"),
            ("reads", reads),
            ("networks", f"{training['members']} with LSTM cells"),
            ("learnt from", f"{training['days']} days from {training['first_day']} to {training['last_day']}"),
            ("efficiency", f"{' / '.join(scores)} on training days that networks were kept from"),
            ("trained", f"{card['created']} by: {training['command']}"),
        ]
    except (KeyError, TypeError, ValueError) as error:
        msg = f"model {card.get('name')!r}: its card lacks or misstates {error}; train or install the model again"
        raise ArtefactError(msg) from error
