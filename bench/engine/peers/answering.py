"""What the programs in Python have in common: one JSON request a line from standard input, one JSON answer a line."""
import json
import sys
import time


def serve(operations):
    """Answers each request by the operation that it names, or says why it failed. What libraries print goes to standard error."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = operations[request["op"]](request)
        except Exception as error:
            answer = {"error": repr(error)}
        print(json.dumps(answer), file=answers, flush=True)


def timed(request, run):
    """{"seconds": [...]} of each repetition, after those that do not count: one, unless it is said otherwise."""
    seconds = []
    warmups = request.get("warmups", 1)
    for i in range(warmups + request["repeats"]):
        start = time.perf_counter()
        run()
        if i >= warmups:
            seconds.append(time.perf_counter() - start)
    return {"seconds": seconds}
