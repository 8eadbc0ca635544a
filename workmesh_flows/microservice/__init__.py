"""A micro-service in about twenty lines: declare it, start it, push records to it, pull their results.

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

A node guarantees:

* A record whose push was answered with success survives a power failure and is processed. Records are processed in
  the order of arrival over all protocols.
* A record with a known id, or a request with a known ``Idempotency-Key``, is accepted again without effect.
* A push with a lower ``Workmesh-Epoch`` than an earlier push of its lane is rejected as a whole, with HTTP 412 and
  ``{"epoch": <the highest seen>}``: another run sends on the lane now. The lane is the value of the ``Workmesh-Lane``
  header, or the endpoint's path if there is no header. A push without an epoch is accepted.
* One result is stored for each record. After a crash, the function may run again for the last records (at most 200, or
  those of half a second): its side effects must be idempotent.
* If the function raises an error, its record is marked as failed, with the reason, and the next record is processed.
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
