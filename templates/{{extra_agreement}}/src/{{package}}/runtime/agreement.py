"""A second opinion on an answer, by a model of another chain: `checks = ["agreement:cheap"]`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from .errors import FleetError, SettingsError
from .run import AskedCall, Check, CheckResult, MakeCheck, current
from .same_answer import is_same
from .subagent import SubAgent, text_of

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse


def make_agreement_check(argument: str) -> Check:
    """Make `agreement:other` or `agreement:other,intent`: another chain's model says the same.

    It gets the same request. Compared are the final answers (a number, a choice, a short text),
    or of typed ones the short fields, or the one that is named. With `,exact` at the end they have
    to be equal letter by letter. No opinion, or one of the same model, rejects nothing.
    """
    chain, *more = argument.split(",")
    exact = more[-1:] == ["exact"]
    field = ",".join(more[:-1] if exact else more)
    if not chain:
        raise ValueError("agreement takes a chain, such as agreement:cheap")

    async def check(completion: "ModelResponse", call: AskedCall) -> CheckResult | None:
        from pydantic_ai.direct import model_request

        chains = call.stage.run.chains
        if chain not in chains:
            problem = f"fleet.toml: checks: there is no [chains.{chain}] to agree with"
            raise SettingsError(problem, "add it, or name another chain")
        # The same question word for word, billed to the same task, and not checked itself.
        stage = replace(call.stage, agent=SubAgent("second_opinion", str), parent=call)
        token = current.set(stage)
        try:
            other = await model_request(
                chains[chain], call.messages, model_request_parameters=call.parameters
            )
        except FleetError:
            return None
        finally:
            current.reset(token)
        if other.model_name == completion.model_name:
            return None
        agrees = is_same(text_of(completion), text_of(other), field, exact=exact)
        return CheckResult(None if agrees else "disagrees", float(agrees), "agreement")

    return check


CHECKS: Mapping[str, MakeCheck] = {"agreement": make_agreement_check}
