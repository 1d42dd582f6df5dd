"""A plugin of Prefect, imported with it where `anabranch up` says so: it settles what `flows` and `tasks` mean.

Prefect looks into a project's folder first when it imports a flow, and many projects have packages of these names.
"""

import sys
from importlib import import_module

from anabranch.core.shipped import PACKAGES

sys.path.insert(0, str(PACKAGES))
try:
    for _name in ("flows", "tasks"):
        import_module(_name)
finally:
    sys.path.remove(str(PACKAGES))
