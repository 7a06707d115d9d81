"""The races of tools/bench/search: which searches, and how both sides take turns. Standard library only."""

import statistics
from dataclasses import dataclass, field

import racing

ZOO_TASKS = ("reverse_upper", "drop_json", "sort_parens", "next_is")
REAL_SETS = ("trec_question_type", "cr_customer_reviews", "snips_intents", "financial_phrasebank")
BUDGETS = (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 30, 40, 60, 80, 120, 160, 200)
LARGEST = 200  # evaluations that ours gets in lorahub's time, at most
AIMS = {"whole": 3.0, "many": 6.0, "evaluation": 1.15, "quality": 5.0}
AGREEMENT = 1e-4  # of the first score of both sides, relative


@dataclass
class Race:
    kind: str  # whole, evaluation, quality, scaling
    subject: str  # of MODELS, or zoo, or real
    label: str
    adapters: int = 0
    examples: int = 0
    tokens: int = 0
    population: int = 0
    result: dict = field(default_factory=dict)

    @property
    def name(self):
        return f"{self.kind}/{self.subject}/{self.label}"

    @property
    def aim(self):
        if self.kind == "whole":
            return AIMS["many" if self.tokens <= 16 or self.adapters >= 100 else "whole"]
        return AIMS.get(self.kind)


def races(args):
    """All of them, by the sizes that were asked for; the first of each list is the usual one."""
    out, n, k, t = [], args.adapters[0], args.examples[0], args.tokens[0]
    for model in args.models:
        sizes = [(n, k, length) for length in args.tokens] + [(count, k, t) for count in args.adapters[1:]]
        for kind in ("whole", "evaluation"):
            out += [Race(kind, model, f"{a}x{e}x{length}", a, e, length) for a, e, length in sizes]
        out.append(Race("quality", model, f"{n}x{k}x{t}", n, k, t))
    out += [Race("quality", "zoo", task) for task in args.zoo_tasks]
    out += [Race("quality", "real", one) for one in args.real_sets if args.real_pool]
    for model in args.models:
        for population in args.populations:
            out.append(Race("scaling", model, f"population/{population}", n, k, t, population))
        out += [Race("scaling", model, f"adapters/{a}", a, k, t) for a in args.pools]
        out += [Race("scaling", model, f"examples/{e}", n, e, t) for e in args.shots]
    return out


def same_scores(ours, theirs):
    """How many evaluations from the first on have the same score: rounding may part two searches for good."""
    scores = [trial["score"] for trial in ours["report"]["history"]]
    for i, (a, b) in enumerate(zip(scores, theirs["losses"])):
        if not abs(a / b - 1) <= AGREEMENT:
            return i
    return min(len(scores), len(theirs["losses"]))


def run_whole(track, race):
    problem, runs = track.problem(race), {"ours": [], "lorahub": []}
    for _ in range(track.args.rounds):
        runs["ours"].append(track.ours(problem, track.as_lorahub(problem, track.args.budget)))
        runs["lorahub"].append(track.theirs(problem, track.args.budget))
    same = same_scores(runs["ours"][-1], runs["lorahub"][-1])
    if same == 0:
        raise racing.RaceError("the first evaluations of both sides have different scores")
    race.result = {side: racing.summary(some) for side, some in runs.items()} | {"same": same}
    race.result["ratio"] = race.result["lorahub"]["median"] / race.result["ours"]["median"]
    stamps = [run["stamps"] for run in runs["lorahub"]]
    race.result["lorahub"]["start"] = statistics.median(some[0] for some in stamps)


def per_evaluation(run, some, more):
    """Seconds of one evaluation of a whole program, by what more of them cost."""
    return (run(more)["seconds"] - run(some)["seconds"]) / (more - some)


def run_evaluation(track, race):
    problem, args = track.problem(race), track.args
    some, more = args.budget, 2 * args.budget
    result = {"ours": [], "bare": []}

    def search(budget):
        return track.ours(problem, track.as_lorahub(problem, budget))

    for _ in range(args.rounds):
        result["ours"].append(per_evaluation(search, some, more))
        result["bare"].append(per_evaluation(lambda times: track.bare(problem, times), some, more))
    theirs = track.theirs(problem, args.budget)
    stamps = theirs["stamps"]
    race.result = {side: statistics.median(some) for side, some in result.items()}
    race.result["lorahub"] = (stamps[-1] - stamps[0]) / (len(stamps) - 1)
    race.result["lorahub_forward"] = statistics.median(theirs["forwards"])
    race.result["ratio"] = race.result["ours"] / race.result["bare"]


def smallest_budget(track, problem, loss, most):
    """The first budget of BUDGETS whose result is at least as good on the examples; None when none is."""
    for budget in (b for b in BUDGETS if b <= most):
        if track.ours(problem, ["--budget", str(budget)])["report"]["score"] <= loss:
            return budget
    return None


def largest_budget(track, problem, seconds):
    """A budget that ours needs no more than so many seconds for, at most LARGEST; and the run."""
    budget = LARGEST
    while True:
        run = track.ours(problem, ["--budget", str(budget)], "found")
        if run["seconds"] <= seconds or budget <= BUDGETS[0]:
            return budget, run
        budget = max(BUDGETS[0], min(budget - 1, int(0.9 * budget * seconds / run["seconds"])))


def their_side(track, race, problem):
    """lorahub's runs, and the folder of what it found; its rule and optimiser by ours where the package cannot go."""
    budget = track.args.budget
    if race.subject == "real":
        runs = [track.ours(problem, track.as_lorahub(problem, budget), "lorahub") for _ in range(track.args.rounds)]
        return runs, track.scratch / "lorahub"
    runs = [track.theirs(problem, budget) for _ in range(track.args.rounds)]
    return runs, track.their_adapter(problem, budget)


def run_quality(track, race):
    problem = track.problem(race)
    runs, adapter = their_side(track, race, problem)
    theirs = {"runs": racing.summary(runs), "few": track.judged(problem, adapter, problem.few, "loss")["loss"]}
    seconds = theirs["runs"]["median"]
    same = track.ours(problem, ["--budget", str(track.args.budget)])
    ours = {"same_budget": {"seconds": same["seconds"], "few": same["report"]["score"]}}
    budget, last = largest_budget(track, problem, seconds)
    ours |= {"budget": budget, "seconds": last["seconds"]}
    ours["few"] = track.judged(problem, track.scratch / "found", problem.few, "loss")["loss"]
    if problem.held_out:
        theirs["held_out"] = track.judged(problem, adapter, problem.held_out, problem.metrics)
        ours["held_out"] = track.judged(problem, track.scratch / "found", problem.held_out, problem.metrics)
    reached = smallest_budget(track, problem, theirs["few"], budget)
    race.result = {"lorahub": theirs, "ours": ours, "reached": reached}
    if reached:
        again = [track.ours(problem, ["--budget", str(reached)]) for _ in range(track.args.rounds)]
        ours["reaching"] = racing.summary(again)
        race.result["ratio"] = seconds / ours["reaching"]["median"]


def run_scaling(track, race):
    """Ours alone: seconds of an evaluation by CMA-ES under the default rule, and of a bare forward of the examples."""
    problem, args = track.problem(race), track.args
    some = max(args.populations)  # whole generations, and no more than needed: fifty examples take long
    more = 2 * some

    def search(budget):
        flags = ["--method", "cma_es", "--budget", str(budget), "--preselect", str(len(problem.pool))]
        return track.ours(problem, [*flags, "--population", str(race.population)])

    result = {"ours": [], "bare": []}
    for _ in range(args.rounds):
        result["ours"].append(per_evaluation(search, some, more))
        result["bare"].append(per_evaluation(lambda times: track.bare(problem, times), some, more))
    race.result = {side: statistics.median(some) for side, some in result.items()}
    race.result["ratio"] = race.result["ours"] / race.result["bare"]


RUNS = {"whole": run_whole, "evaluation": run_evaluation, "quality": run_quality, "scaling": run_scaling}
