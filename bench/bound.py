"""Send prepared writes as fast as the operator's own client can with as many threads: what the API server allows.

A process of its own, as the operator is one. Prints {"seconds", "writes", "cpu_s"}.
"""

import json
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

from modelyard.operator.__main__ import WORKERS, connect
from modelyard.operator.kubernetes import Api


def main() -> None:
    sequences: queue.SimpleQueue[list[dict[str, Any]]] = queue.SimpleQueue()
    prepared = json.loads(Path(sys.argv[1]).read_text())
    for sequence in prepared:
        for write in sequence:
            write["body"] = json.loads(write["body"])
        sequences.put(sequence)
    api = Api(connect())
    failures: list[BaseException] = []
    threads = [threading.Thread(target=_send_all, args=(api, sequences, failures)) for _ in range(WORKERS)]
    began, cpu = time.monotonic(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    count = sum(map(len, prepared))
    print(json.dumps({"seconds": time.monotonic() - began, "writes": count, "cpu_s": time.process_time() - cpu}))


def _send_all(api: Api, sequences: "queue.SimpleQueue[list[dict[str, Any]]]", failures: list[BaseException]) -> None:
    """Each thread takes whole Models, as a worker of the operator has one Model at a time."""
    while not failures:
        try:
            sequence = sequences.get_nowait()
        except queue.Empty:
            return
        try:
            for write in sequence:
                query = [(key, value) for key, value in write["query"]]
                api._call(write["method"], write["path"], query=query, body=write["body"], content_type=write["content_type"])
        except Exception as error:
            failures.append(error)


if __name__ == "__main__":
    main()
