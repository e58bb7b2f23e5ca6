"""Claiming trials: what a worker asks and what it gets to train."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.metrics import Direction
from hpsearch.domain.objective import Objective
from hpsearch.domain.selection import Selection
from hpsearch.domain.space import Space
from hpsearch.domain.strict import Float, Frozen, Int, Lenient, Name
from hpsearch.domain.study import Split
from hpsearch.domain.task import TaskName
from hpsearch.domain.training import Training
from hpsearch.domain.trial import Params
from hpsearch.wire.workers import WorkerProgress


class ClaimRequest(Frozen):
    """Ask for trials; repeating the same `claim_id` gives the same answer while those attempts are current.

    Attributes:
        claim_id: Chosen by the worker, new for each claim it means.
        max_trials: Trials wanted at most, 1 to 1,024.
        wait_s: Seconds to wait for work before an empty answer, 0 to 30.
        progress: What the worker is doing, above all how many slots it has: its first claim comes before any report.
    """

    claim_id: Name
    max_trials: Annotated[Int, Field(ge=1, le=1024)] = 1
    wait_s: Annotated[Float, Field(ge=0, le=30)] = 0.0
    progress: WorkerProgress | None = None


class ClaimedTrial(Lenient):
    """One trial to train.

    Attributes:
        attempt: Fencing token: to be sent with every report.
        seed: Decides initial weights, shuffling and dropout.
        params: Values by name, for `MlpConfig.from_params`.
        refit_epochs: For kind `refit`: how many epochs to train on training and validation rows; None otherwise.
        selection: For kind `refit`: how its configuration was chosen, for the card in the model file; None otherwise.
        split_seed: Replaces the study's split seed; None keeps it.
        alone: Train it with no other trial in the process: it, or one of its neighbours, has brought processes down.
    """

    trial_id: str
    study_id: str
    number: int
    kind: TrialKind
    attempt: int
    params: Params
    seed: int
    n_weights: int | None = None
    refit_epochs: int | None = None
    selection: Selection | None = None
    split_seed: int | None = None
    alone: bool = False


class StudyBrief(Lenient):
    """What a worker must know of a study to train its trials.

    Attributes:
        dataset_id: To download the content by.
        dataset_digest: SHA-256 the content must have.
        metric: The objective.
        data_order_seed: Decides the order of rows in mini-batches, together with the trial's seed.
        engine: `auto`, `native`, `fused` or `reference`.
        space: What trials are drawn from; None if the server is older than this field.
        max_trials: Search trials of the budget; None likewise.
        max_weights: Of every network that is drawn; None for any number.
        open_trials: Search trials that may be open at once, by the definition alone: an engine that chooses its
            programs by it must not choose otherwise tomorrow. None for any number.
        n_models: How many of its best trials' models the study keeps, at least 1.
    """

    study_id: str
    name: str
    dataset_id: str
    dataset_digest: str
    task: TaskName
    split: Split
    metric: str
    direction: Direction
    training: Training
    data_order_seed: int
    engine: str = "auto"
    space: Space | None = None
    max_trials: int | None = None
    max_weights: int | None = None
    open_trials: int | None = None
    n_models: int = 1

    @property
    def objective(self) -> Objective:
        """What the search improves."""
        return Objective(metric=self.metric, direction=self.direction)


class ClaimReply(Lenient):
    """The trials given and the facts of their studies.

    Attributes:
        trials: In the order they should be trained; empty when there is no work.
        studies: By study id, one for each study among the trials.
        lease_s: Seconds until an unreported trial may go to another worker.
        model_thresholds: By study id: the value a finished trial must beat for its model to be kept; a study that is
            missing keeps every model. Upload the model before reporting COMPLETE.
    """

    trials: tuple[ClaimedTrial, ...] = ()
    studies: dict[str, StudyBrief] = {}
    lease_s: float
    model_thresholds: dict[str, float] = {}
