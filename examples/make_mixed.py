"""Writes mixed.csv: made-up customers of a gym, with numbers, categories and gaps; the same file every time."""

from __future__ import annotations

import csv
import math
import random
from pathlib import Path

N_ROWS = 600
COACH_SHARE = 0.3
YOUNG_BELOW = 30
PATIENCE_MONTHS = 6
PLANS = {"basic": 0.4, "plus": 0.0, "family": -0.7}
CITIES = {"Bern": 0.0, "Porto": 0.3, "Tartu": -0.3, "Zadar": 0.1}
HEADER = ("age", "months", "visits_per_week", "monthly_fee", "plan", "city", "has_coach", "cancelled")


def customer(dice: random.Random) -> list[object]:
    """Return one row; who comes rarely, pays much and has no coach tends to cancel."""
    plan, city = dice.choice(list(PLANS)), dice.choice(list(CITIES))
    age = dice.randint(18, 75)
    months = round(dice.expovariate(1 / 14), 1)
    visits = round(max(0.0, dice.gauss(2.0, 1.1)), 1)
    fee = round(dice.gauss({"basic": 29, "plus": 45, "family": 69}[plan], 4), 2)
    has_coach = int(dice.random() < COACH_SHARE)
    # The young leave after a few months whatever they do; a line can not say that, a hidden layer can.
    restless = 1.6 if age < YOUNG_BELOW and months > PATIENCE_MONTHS else 0.0
    score = 0.2 + PLANS[plan] + CITIES[city] - 1.1 * (visits - 1.8) - 0.9 * has_coach + 0.03 * (fee - 42) + restless
    cancelled = "yes" if dice.random() < 1 / (1 + math.exp(-1.6 * score)) else "no"
    row: list[object] = [age, months, visits, fee, plan, city, has_coach, cancelled]
    for column, share in ((0, 0.05), (2, 0.12), (5, 0.08)):
        if dice.random() < share:
            row[column] = ""
    return row


def main() -> None:
    """Write the file beside this one."""
    dice = random.Random(20)  # noqa: S311 - the same rows every time, not secrets
    with Path(__file__).with_name("mixed.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(customer(dice) for _ in range(N_ROWS))


if __name__ == "__main__":
    main()
