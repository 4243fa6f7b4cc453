"""What schemathesis loads: the two checks that need to know more than the description can express.

A schema cannot express everything that the service refuses. EXPLAINED lists those refusals of requests that the schema allows, each with
its reason; any other fails.
"""
import re

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

# operation, status, and what every error in the answer, as "field: detail", must match
EXPLAINED = [
    # The revision in force is not known to the schema.
    ("PUT /reconcile/config", 412, r"the settings are at revision \d+ now"),
    ("GET /reconcile/config", 412, r"the settings are at revision \d+ now"),
    # The stages are the pipeline's, which is data; an instant is held against the clock; what goes together takes two members to see.
    ("PUT /reconcile/config", 422, r"grace_overrides\.[a-z0-9_-]+: is no stage of the pipeline|until: must be (in the future|less than a "
                                   r"year ahead)"),
    ("PUT /reconcile/holds/{scope}", 422, r"until: must be (in the future|less than a year ahead)"),
    # The place where a page ended is opaque, and each database has its own; the pattern names the characters it may have.
    ("GET /reconcile/tasks", 400, r'after: must be the "next" of an earlier answer'),
]


def is_explained(case, response):
    if "problem+json" not in str(response.headers.get("content-type")):
        return False
    problem = response.json()
    found = [f"{error['field']}: {error['detail']}" for error in problem.get("errors", [])] or [problem["detail"]]
    return any((case.operation.label, response.status_code) == (operation, status) and all(re.fullmatch(words, one) for one in found)
               for operation, status, words in EXPLAINED)


@schemathesis.check
def what_the_schema_allows_is_taken(ctx, response, case):
    return None if is_explained(case, response) else positive_data_acceptance(ctx, response, case)


# A precondition is looked at before the body (RFC 9110 13.2.1): 412 refuses the request, too, and a target or a body of excessive length
# never gets as far as its content.
REFUSED_BEFORE = (412, 413, 414)


@schemathesis.check
def what_the_schema_forbids_is_refused(ctx, response, case):
    return None if response.status_code in REFUSED_BEFORE else negative_data_rejection(ctx, response, case)
