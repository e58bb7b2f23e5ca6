"""StudyDefinition: what a user asks for. It is the POST body, the stored JSON and what a worker reads."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from hpsearch.domain.algorithms import ALGORITHMS, AlgorithmKind
from hpsearch.domain.metrics import Direction
from hpsearch.domain.objective import Objective
from hpsearch.domain.pruners import PRUNERS, PrunerKind
from hpsearch.domain.space import Space
from hpsearch.domain.strict import Bool, Count, Float, Frozen, Int, Name, Positive, Seconds, Seed
from hpsearch.domain.task import TASKS, TaskName
from hpsearch.domain.training import Training

MAX_TRIALS: Final = 1_000_000
MAX_PARALLELISM: Final = 10_000
DEFAULT_MAX_TRIALS: Final = 100

BUILTIN_DATASETS: Final = ("digits", "iris", "wine", "breast_cancer", "diabetes")
GENERATED_DATASETS: Final = ("classification", "quantiles", "friedman1", "moons", "churn", "medium", "large")


class DatasetReference(Frozen):
    """Which data: exactly one of the three.

    Attributes:
        builtin: Name of one of scikit-learn's small built-in sets.
        generated: Name of a set generated on the server, the same everywhere.
        id: Id of an uploaded data set.
    """

    builtin: Name | None = None
    generated: Name | None = None
    id: Name | None = None

    @model_validator(mode="after")
    def _one(self) -> DatasetReference:
        given = [name for name in ("builtin", "generated", "id") if getattr(self, name) is not None]
        if len(given) != 1:
            msg = f"name the data by exactly one of builtin, generated or id, received {', '.join(given) or 'none'}"
            raise ValueError(msg)
        for kind, known in (("builtin", BUILTIN_DATASETS), ("generated", GENERATED_DATASETS)):
            name = getattr(self, kind)
            if name is not None and name not in known:
                msg = f"unknown {kind} data set {name!r}; known are {', '.join(known)}"
                raise ValueError(msg)
        return self


class Split(Frozen):
    """How rows are divided, the same for every trial of the study.

    Attributes:
        validation: Fraction of all rows for validation, above 0 to below 1; 0.2 when neither folds nor column is given.
        test: Fraction of all rows locked away for the final model, 0 to below 1.
        folds: k of k-fold cross-validation over the rows that are not test rows, 2 to 50.
        column: Name of a column holding `train`, `validation` or `test` for each row.
        stratify: Keep class shares in every part; None does so for classification.
        seed: Decides which rows go where.
    """

    validation: Annotated[Float, Field(gt=0, lt=1)] | None = None
    test: Annotated[Float, Field(ge=0, lt=1)] = 0.2
    folds: Annotated[Int, Field(ge=2, le=50)] | None = None
    column: Name | None = None
    stratify: Bool | None = None
    seed: Seed = 0

    @model_validator(mode="after")
    def _one_way(self) -> Split:
        given = [name for name in ("validation", "folds", "column") if getattr(self, name) is not None]
        if len(given) > 1:
            msg = f"split by one of validation, folds or column, received {' and '.join(given)}"
            raise ValueError(msg)
        if self.validation_fraction + self.test >= 1:
            msg = f"validation {self.validation_fraction} and test {self.test} leave no rows to train on"
            raise ValueError(msg)
        return self

    @property
    def validation_fraction(self) -> float:
        """Fraction of all rows for validation; 0 when folds or a column decide instead."""
        if self.folds is not None or self.column is not None:
            return 0.0
        return 0.2 if self.validation is None else self.validation


class Constraints(Frozen):
    """What every sampled network must obey.

    Attributes:
        max_weights: Largest number of trainable weights; configurations above it are never sampled.
    """

    max_weights: Positive | None = None


class AlgorithmOptions(Frozen):
    """Fine adjustment of Bayesian search.

    Attributes:
        sampler: Kept because stored definitions have it: both mean the tree-structured Parzen estimator.
        n_startup: Quasi-random points before the model is trusted; None chooses from the budget.
    """

    sampler: Literal["auto", "tpe"] = "auto"
    n_startup: Annotated[Int, Field(ge=1, le=10_000)] | None = None


class Algorithm(Frozen):
    """How configurations are chosen; the same seed gives the same grid order and the same random points."""

    kind: AlgorithmKind = "bayesian"
    seed: Seed = 0
    options: AlgorithmOptions = AlgorithmOptions()

    @property
    def learns(self) -> bool:
        """Whether points are chosen by the results so far."""
        return ALGORITHMS[self.kind].learns

    @property
    def is_finite(self) -> bool:
        """Whether every point of a finite space is tried once."""
        return ALGORITHMS[self.kind].is_finite

    def as_random(self) -> Algorithm:
        """Return random search with the same seed: what finds points where the algorithm itself can not be asked."""
        return self.model_copy(update={"kind": "random"})


class Pruner(Frozen):
    """Whether the study stops poor trials early."""

    kind: PrunerKind = "none"

    @property
    def stops_trials(self) -> bool:
        """Whether a trial may be PRUNED."""
        return PRUNERS[self.kind].stops_trials


class Budget(Frozen):
    """When the search ends; whichever limit is met first.

    Attributes:
        max_trials: Finished search trials, exactly; None means the whole grid, or 100 for random and Bayesian search
            when no other limit is given.
        max_failed: The study fails once this many trials have failed in training.
        wall_time_s: Seconds since the study was created.
        device_seconds: Seconds of device time over all trials.
        target: Stop once the objective reaches this value.
    """

    max_trials: Annotated[Int, Field(ge=1, le=MAX_TRIALS)] | None = None
    max_failed: Annotated[Int, Field(ge=1, le=MAX_TRIALS)] = 20
    wall_time_s: Seconds | None = None
    device_seconds: Seconds | None = None
    target: Float | None = None


class Confirm(Frozen):
    """Training the top of the board again with other seeds, outside the budget.

    Attributes:
        top_k: How many of the best search trials; 0 switches the stage off.
        seeds: How many further seeds for each, 1 to 100.
    """

    top_k: Annotated[Int, Field(ge=0, le=1_000)] = 0
    seeds: Annotated[Int, Field(ge=1, le=100)] = 5


def _yaml_switch(raw: Any) -> Any:
    """YAML 1.1 reads a bare `off` as false and `on` as true."""
    return {True: "auto", False: "off"}[raw] if isinstance(raw, bool) else raw


Refit = Annotated[Literal["auto", "off"], BeforeValidator(_yaml_switch)]
Parallelism = Literal["auto"] | Annotated[Int, Field(ge=1, le=MAX_PARALLELISM)]


class StudyDefinition(Frozen):
    """A study as its author wrote it.

    Attributes:
        name: For people; need not be unique.
        dataset: Which data.
        task: What is predicted; inferred from the target when left out.
        split: How rows are divided.
        objective: The number to improve; the task's usual metric when left out.
        space: The hyperparameters searched and fixed.
        constraints: What every sampled network must obey.
        algorithm: How configurations are chosen.
        pruner: Whether poor trials are stopped early.
        training: Limits and schedules all trials share.
        budget: When the search ends.
        parallelism: Open trials at most; `auto` keeps Bayesian search informed.
        baselines: Whether a linear model and a default MLP are trained first, outside the budget.
        confirm: Training the top again with other seeds.
        refit: `auto` trains the winner on training and validation rows and opens the test rows once, if there are any;
            `off` keeps the best trial's own model.
        engine: `native` trains one trial on each CPU core with compiled kernels, `fused` many trials at once as one
            program, meant for GPUs, `reference` each by itself with plain Keras; `auto` leaves the choice to the
            worker: native on a CPU, fused on a GPU, unless it was told otherwise.
    """

    name: Name
    dataset: DatasetReference
    task: TaskName | None = None
    split: Split = Split()
    objective: Objective | None = None
    space: Space
    constraints: Constraints = Constraints()
    algorithm: Algorithm = Algorithm()
    pruner: Pruner = Pruner()
    training: Training = Training()
    budget: Budget = Budget()
    parallelism: Parallelism = "auto"
    baselines: Bool = True
    confirm: Confirm = Confirm()
    refit: Refit = "auto"
    engine: Literal["auto", "native", "fused", "reference"] = "auto"

    @model_validator(mode="after")
    def _coherent(self) -> StudyDefinition:
        if self.task and self.objective:
            metrics = TASKS[self.task].metrics
            if self.objective.metric not in metrics:
                msg = f"{self.objective.metric} is not a metric of {self.task}; choose one of {', '.join(metrics)}"
                raise ValueError(msg)
        if self.algorithm.is_finite:
            endless = [name for name, parameter in self.space.flat().items() if parameter.values is None]
            if endless:
                names = ", ".join(endless)
                msg = f"a grid needs values or steps for every parameter, received a range without steps for {names}"
                raise ValueError(msg)
        return self

    @property
    def max_trials(self) -> int | None:
        """The number of search trials asked for; None for a grid means all of it."""
        if self.budget.max_trials is not None or self.algorithm.is_finite:
            return self.budget.max_trials
        return (
            DEFAULT_MAX_TRIALS if self.budget.wall_time_s is None and self.budget.device_seconds is None else MAX_TRIALS
        )


class ResolvedStudy(Frozen):
    """Everything a study needs that its definition left open: decided once, at creation, and stored.

    Attributes:
        dataset_id: The stored data set.
        dataset_digest: SHA-256 of its content, in hex.
        task: Given or inferred.
        metric: Of the objective.
        direction: Of the objective.
        n_inputs: Width of the prepared input, for weight counts.
        n_outputs: Width of the output: classes for multiclass, 1 otherwise.
        n_validation: Validation rows; with k folds all rows that are not test rows. None in older studies.
        n_test: Test rows; None in older studies.
        grid_size: Number of feasible grid points; None unless the algorithm is grid.
        max_trials: Search trials to create, exactly.
    """

    dataset_id: Name
    dataset_digest: Name
    task: TaskName
    metric: Name
    direction: Direction
    n_inputs: Positive
    n_outputs: Positive
    n_validation: Positive | None = None
    n_test: Count | None = None
    grid_size: Count | None = None
    max_trials: Positive

    @property
    def objective(self) -> Objective:
        """What the search improves."""
        return Objective(metric=self.metric, direction=self.direction)
