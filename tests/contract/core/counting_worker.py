"""Runs in the engine's interpreter: one queue whose messages are received and return while its numbers are read.

Prints as JSON the smallest sum of both numbers that was read, and how many receives there were.
"""

import json
import sys
import threading
import time

from localstack.services.sqs.models import StandardQueue

from sluice_ext.sqs import counting

MESSAGES, SECONDS = 10, 1.5
sys.setswitchinterval(0.00005)  # so that threads meet between any two steps

counting.install()
queue = StandardQueue("q", "us-east-1", "000000000000")
for number in range(MESSAGES):
    queue.put({"MessageId": str(number), "Body": ""})
end, receives, sums = time.monotonic() + SECONDS, 0, []


def receive() -> None:
    global receives
    while time.monotonic() < end:
        # The first one waits for more than there are, as a batching window does.
        wait = 0 if receives else 1
        if queue.receive(MESSAGES + 1, wait, 1, poll_empty_queue=True).successful:
            receives += 1


def give_back() -> None:
    while time.monotonic() < end:
        for message in list(queue.inflight):
            message.update_visibility_timeout(0)
        queue.requeue_inflight_messages()


def read() -> None:
    while time.monotonic() < end:
        found = queue.get_queue_attributes(["ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessages"])
        sums.append(sum(map(int, found.values())))


threads = [threading.Thread(target=work) for work in (receive, give_back, read)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
queue.shutdown()
found = queue.get_queue_attributes(["ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessages"])
print(json.dumps({"least": min(sums), "after": sum(map(int, found.values())), "receives": receives}))
