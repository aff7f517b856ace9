#!/usr/bin/python3
"""A client of a message broker that speaks AMQP 1.0, with Qpid Proton.

``send PLACE QUEUE FIRST LAST`` writes each number once the broker has accepted it as a durable message; ``receive PLACE
QUEUE COUNT`` writes what it received and accepted.
"""

import sys

from proton import Message  # type: ignore[import-not-found]
from proton.utils import BlockingConnection  # type: ignore[import-not-found]

SECONDS = 10


def main() -> None:
    """Do as the command line says."""
    verb, place, queue, *numbers = sys.argv[1:]
    connection = BlockingConnection(place, timeout=SECONDS, allowed_mechs="ANONYMOUS")
    if verb == "send":
        sender = connection.create_sender(queue)
        first, last = map(int, numbers)
        for number in range(first, last + 1):
            sender.send(Message(body=number, durable=True))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
    else:
        receiver = connection.create_receiver(queue, credit=10)
        for _ in range(int(numbers[0])):
            sys.stdout.write(f"{receiver.receive(timeout=SECONDS).body}\n")
            receiver.accept()
    connection.close()


if __name__ == "__main__":
    main()
