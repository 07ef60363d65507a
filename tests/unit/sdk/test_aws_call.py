"""docs/sdk-on-aws.md lists every call that the source makes, and policies that allow just those."""

from __future__ import annotations

import re

import aws_call
import botocore.session

from tidemill.cli import permission

SUBMITTER, JOB, COMMAND = aws_call.SUBMITTER, aws_call.JOB, aws_call.COMMAND
SUBMITTERS = "The submitter's policy"
JOBS = "The job role's policy"
COMMANDS = "What the commands need besides"


def test_every_call_of_the_source_stands_in_the_guide() -> None:
    listed = {*aws_call.table(SUBMITTER), *aws_call.table(JOB)}
    assert aws_call.calls_in("sdk") == listed


def test_every_call_of_the_commands_stands_in_the_guide() -> None:
    listed = {*aws_call.table(SUBMITTER), *aws_call.table(JOB)}
    besides = aws_call.calls_in("cli") - listed
    assert besides == set(aws_call.table(COMMAND)) - {"ecr DescribeImages"}


def test_policies_allow_what_is_called_and_nothing_else() -> None:
    for calls, policy in ((SUBMITTER, SUBMITTERS), (JOB, JOBS), (COMMAND, COMMANDS)):
        already = aws_call.policy(SUBMITTERS) if calls == COMMAND else set()
        needed = aws_call.actions_for(aws_call.table(calls)) - already
        assert aws_call.policy(policy) == needed, policy


def test_parameters_are_those_of_awss_models() -> None:
    session = botocore.session.get_session()
    for heading in (SUBMITTER, JOB):
        for call, parameters in aws_call.table(heading).items():
            service, operation = call.split()
            model = session.get_service_model(service).operation_model(operation)
            assert parameters <= set(model.input_shape.members), call


def test_the_doctor_tries_or_names_each_action_of_the_submitter() -> None:
    known = {*permission.TRIES, *permission.UNTRIED}
    assert known == aws_call.policy(SUBMITTERS)


def test_actions_are_spelt_as_iam_spells_them() -> None:
    for policy in (SUBMITTERS, JOBS, COMMANDS):
        assert all(re.fullmatch(r"[a-z0-9]+:[A-Z]\w+", each) for each in aws_call.policy(policy))
