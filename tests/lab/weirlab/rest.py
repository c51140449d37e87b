"""The controller's REST API over its Unix socket."""
import http.client
import json
import socket


class Refused(RuntimeError):
    """The API said no; `errors` as it said them."""

    def __init__(self, status: int, body: dict | str):
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float):
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def call(path: str, method: str, target: str, body: object = None, timeout_s: float = 20.0):
    """The decoded answer; text bodies are sent as YAML, all others as JSON."""
    connection = _UnixConnection(path, timeout_s)
    try:
        if isinstance(body, str):
            data, kind = body.encode(), "application/yaml"
        else:
            data, kind = (None if body is None else json.dumps(body).encode()), "application/json"
        connection.request(method, target, data, {"Content-Type": kind})
        answer = connection.getresponse()
        text = answer.read().decode()
        told = json.loads(text) if "json" in (answer.getheader("Content-Type") or "") else text
        if answer.status >= 300:
            raise Refused(answer.status, told)
        return told
    except http.client.HTTPException as error:
        raise OSError(f"{method} {target}: {error!r}") from error
    finally:
        connection.close()
