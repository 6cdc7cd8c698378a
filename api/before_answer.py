"""Dying with a command's answer made and not sent (`adapters/stop_points.py`)."""

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from adapters.stop_points import StopPoint

COMMANDS = frozenset({"POST", "PATCH", "DELETE"})


def before_answer(app: ASGIApp, stop: StopPoint | None) -> ASGIApp:
    """The app; it dies before it answers a command where that is asked for."""
    if stop is None or stop.name != "before_answer":
        return app

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        async def dying(message: Message) -> None:
            if message["type"] == "http.response.start" and scope.get("method") in COMMANDS:
                stop.reached("before_answer")
            await send(message)

        await app(scope, receive, dying)

    return answering
