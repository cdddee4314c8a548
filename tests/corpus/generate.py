#!/usr/bin/env python3
"""Writes the mails of tests/corpus from their sources, and expect.json: what a reader can see in each.

generate.py             write all but the signed ones
generate.py --signed    make new keys and write the signed ones too
generate.py --check     say what differs from the sources, and change nothing
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from sources import broken, japanese, korean, signed, structure  # noqa: E402
from sources.letter import Mail  # noqa: E402

EXPECT = HERE / "expect.json"


def main(arguments: list[str]) -> int:
    families: dict[str, dict[str, Mail]] = {
        module.__name__.removeprefix("sources."): {name: make() for name, make in module.MAILS.items()}
        for module in (korean, japanese, structure, broken)
    }
    kept = json.loads(EXPECT.read_text()) if EXPECT.exists() else {}
    expect = {name: entry for name, entry in kept.items() if name.startswith("signed/")}
    if "--signed" in arguments:
        families["signed"] = signed.make()

    wrong = []
    for family, mails in families.items():
        for name, mail in mails.items():
            path = HERE / family / f"{name}.eml"
            expect[f"{family}/{name}"] = {"subject": mail.subject, "finds": mail.finds}
            if "--check" in arguments:
                if not path.exists() or path.read_bytes() != mail.source:
                    wrong.append(str(path.relative_to(HERE)))
            else:
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(mail.source)

    page = json.dumps(dict(sorted(expect.items())), ensure_ascii=False, indent=1) + "\n"
    if "--check" in arguments:
        if page != EXPECT.read_text():
            wrong.append(EXPECT.name)
        print("\n".join(f"{path} is not what its source makes; run tests/corpus/generate.py" for path in wrong), end="")
        return 1 if wrong else 0
    EXPECT.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
