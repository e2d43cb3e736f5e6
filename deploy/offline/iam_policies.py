"""Lints the policies in a plan: unknown actions, resources and conditions that do not go with
them, grammar.

    iam_policies.py PLAN.json...
"""

import sys

import parliament

import plan


def main():
    wrong, seen = [], set()
    for path in sys.argv[1:]:
        for address, kind, values in plan.resources(path):
            if kind != "aws_iam_role_policy" or values["policy"] in seen:
                continue
            seen.add(values["policy"])
            for finding in parliament.analyze_policy_string(values["policy"]).findings:
                wrong.append(f"{address}: {finding}")
    if not seen:
        sys.exit("no policy was found: is this a plan?")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(seen)} policies are as IAM wants them")


if __name__ == "__main__":
    main()
