"""``yyt hsm serve --config FILE`` with one difference: what it seals costs next to nothing to open.

For tests that hold ceremonies and look at other things than what guessing a passphrase costs. No
option, file or variable of the product leads here; that its own service seals at the full cost is
shown in test_daemon_process.py, and test_token_daemon.py opens what was sealed so.
"""

import sys
from functools import partial

from hsm.daemon import configured
from hsm.sealing.entries import Cost
from switch.cli import main

CHEAP = Cost(memory_kib=64, passes=1, lanes=1)

if __name__ == "__main__":
    configured.options = partial(configured.options, cost=CHEAP)
    sys.exit(main(["hsm", "serve", "--config", sys.argv[1]]))
