"""A micro-service in about twenty lines: declare it, start it, push records, pull what became of them.

```python

timeline = MicroService("micro.emails.timeline", version="1.0.0")


def check(delivery: dict) -> None:
    if "@" not in delivery["email"]:
        raise RecordRefused("email has no @")


@timeline.protocol("delivery", check=check)
def score(delivery: dict) -> dict | None:
    return {"score": len(delivery["subject"])}
```

Start it with ``uvicorn mymodule:timeline`` and ``WORKMESH_API_KEY`` in the environment, with
``python -m workmesh_flows.microservice mymodule:timeline``, or from code with `serve` or `NodeProcess`.

What a node promises:

* A record that was answered with success survives a power cut and is processed, in the order of arrival
  over all protocols.
* A record known by its id, or a request known by its ``Idempotency-Key``, is accepted again without effect.
* A push with a lower ``Workmesh-Epoch`` than its lane was pushed to before is refused whole, with HTTP 412 and
  ``{"epoch": <the highest seen>}``: its sender was replaced. The lane is the ``Workmesh-Lane`` header, or the
  access point where there is none. A push without an epoch is taken as it is.
* One result is kept for each record. The function itself may run again for the last few records (at most
  200, or half a second's worth) after a crash: what it does beside returning a result must bear being done
  twice.
* A function that raises marks its record failed, with the reason, and the next record follows.
"""

from workmesh_flows.errors import DefinitionError, RecordRefused, StartError
from workmesh_flows.microservice.app import NodeApp
from workmesh_flows.microservice.arrival_log import Arrival, arrivals
from workmesh_flows.microservice.declaration import MicroService
from workmesh_flows.microservice.process import NodeProcess
from workmesh_flows.microservice.serving import serve

__all__ = [
    "Arrival",
    "DefinitionError",
    "MicroService",
    "NodeApp",
    "NodeProcess",
    "RecordRefused",
    "StartError",
    "arrivals",
    "serve",
]
