"""Framing: status lines, lengths, chunks, interim answers, and bytes after the end of an answer."""

from taskcounts import ContractViolation, ServiceError
from wire.cases import ENDS, FIN, KEPT, LEAKS, REFUSED, RST, Case, Right, case, refused
from wire.sessions import OK, body, whole

BODY = body(1)
SIZE = b"%d" % len(BODY)
LENGTH = b"content-length: %b\r\n" % SIZE
CHUNKED = b"transfer-encoding: chunked\r\n"
CHUNKS = b"%x\r\n%b\r\n" % (len(BODY), BODY)
PLAIN = LENGTH + b"\r\n" + BODY
FORGED = whole(666)
H11_LENIENT = "h11 takes this; its parser is not ours"
H11_LEFTOVERS = (
    "h11 keeps what came behind an answer, and httpcore doesn't look there before the next request"
)
# Only as long as a cut can be told from a whole: without a length, what is no JSON is no answer either.
NO_COUNTS = Right(2, 1, ContractViolation)

LENGTHS: dict[str, Case] = {
    "a length": case(OK + PLAIN, right=KEPT),
    "blanks around a length": case(OK + b"content-length:\t %b \t\r\n\r\n" % SIZE + BODY, right=KEPT),
    "zeros before a length": case(OK + b"content-length: 000%b\r\n\r\n" % SIZE + BODY, right=KEPT),
    "no length": case(OK + b"\r\n" + BODY, FIN, right=ENDS),
    "no length, kept": case(OK + b"connection: keep-alive\r\n\r\n" + BODY, FIN, right=ENDS),
    "no length, cut": case(OK + b"\r\n" + BODY[:-9], FIN, right=NO_COUNTS),
    "no length, reset": case(OK + b"\r\n" + BODY, 0.05, RST, right=refused()),
    "close": case(OK + b"connection: close\r\n" + PLAIN, FIN, right=ENDS),
    "close, but not closed": case(OK + b"Connection: Foo, Close\r\n" + PLAIN, right=ENDS),
    "one length twice": case(
        OK + LENGTH + PLAIN, right=(KEPT, ENDS, refused()), h11=KEPT, why="RFC 9112 6.3: either is right"
    ),
    "one length as a list": case(
        OK + b"content-length: %b, %b\r\n\r\n" % (SIZE, SIZE) + BODY,
        right=(KEPT, ENDS, refused()),
        h11=(KEPT, REFUSED),
        why="RFC 9112 6.3: either is right",
    ),
    "two lengths": case(OK + b"content-length: 2\r\n" + PLAIN, right=refused()),
    "two lengths, the longer first": case(OK + b"content-length: 999\r\n" + PLAIN, right=refused()),
    "two lengths in a list": case(
        OK + b"content-length: 2, %b\r\n\r\n" % SIZE + BODY,
        right=refused(),
    ),
    **{
        f"a length of {name}": case(OK + b"content-length: %b\r\n\r\n" % value + BODY, right=refused())
        for name, value in {
            "less than none": b"-7",
            "a plus": b"+" + SIZE,
            "words": b"seven",
            "hex": b"0x7f",
            "a fraction": SIZE + b".0",
            "two numbers": b"1 " + SIZE,
            "thirty digits": b"7" * 30,
            "2**63 - 1": b"9223372036854775807",
            "2**64 and a bit": b"%d" % (2**64 + len(BODY)),
        }.items()
    },
    "a blank length": case(OK + b"content-length:\r\n\r\n" + BODY, right=refused()),
    "less than it says": case(OK + b"content-length: 999\r\n\r\n" + BODY, right=refused("end")),
    "nothing of it": case(OK + LENGTH + b"\r\n", right=refused("end")),
}

CODINGS: dict[str, Case] = {
    "one chunk": case(OK + CHUNKED + b"\r\n" + CHUNKS + b"0\r\n\r\n", right=KEPT),
    "a chunk a byte": case(
        OK + CHUNKED + b"\r\n" + b"".join(b"1\r\n%c\r\n" % each for each in BODY) + b"0\r\n\r\n",
        right=KEPT,
    ),
    "sizes in capitals and zeros": case(
        OK
        + CHUNKED
        + b"\r\n00A\r\n"
        + BODY[:10]
        + b"\r\n"
        + b"%04X\r\n" % (len(BODY) - 10)
        + BODY[10:]
        + b"\r\n000\r\n\r\n",
        right=KEPT,
    ),
    "extensions": case(
        OK + CHUNKED + b'\r\n%x;a=b;c="d;e"\r\n%b\r\n0;last\r\n\r\n' % (len(BODY), BODY), right=KEPT
    ),
    "trailers": case(
        OK + CHUNKED + b"\r\n" + CHUNKS + b"0\r\ncontent-type: text/html\r\nx: y\r\n\r\n", right=KEPT
    ),
    "Chunked": case(
        OK + CHUNKED.replace(b"chunked", b"Chunked") + b"\r\n" + CHUNKS + b"0\r\n\r\n", right=KEPT
    ),
    "a length and chunks": case(
        OK + CHUNKED + b"content-length: 3\r\n\r\n" + CHUNKS + b"0\r\n\r\n",
        right=(refused(), ENDS),
        h11=(KEPT, ENDS),
        why=H11_LENIENT,
    ),
    "chunks and a length, cut": case(
        OK + b"content-length: 3\r\n" + CHUNKED + b"\r\n" + CHUNKS, right=refused()
    ),
    **{
        f"coding {value.decode()}": case(
            OK + b"transfer-encoding: %b\r\n\r\n" % value + CHUNKS + b"0\r\n\r\n", right=refused()
        )
        for value in (b"gzip", b"gzip, chunked", b"chunked, gzip", b"identity", b"chunked, chunked", b"x-own")
    },
    "chunked twice": case(OK + CHUNKED + CHUNKED + b"\r\n" + CHUNKS + b"0\r\n\r\n", right=refused()),
    "a blank coding": case(OK + b"transfer-encoding:\r\n\r\n" + BODY, right=refused()),
    "chunks of HTTP/1.0": case(
        b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n" + CHUNKED + b"\r\n" + CHUNKS + b"0\r\n\r\n",
        FIN,
        right=(ENDS, refused()),
    ),
    **{
        f"chunks: {name}": case(OK + CHUNKED + b"\r\n" + value, right=refused())
        for name, value in {
            "none": b"",
            "half": CHUNKS[:50],
            "no last one": CHUNKS,
            "half of the last one": CHUNKS + b"0\r\n",
            "no size": b"\r\n" + BODY,
            "no number": b"zz\r\n" + BODY,
            "a negative size": b"-1\r\n" + BODY,
            "0x": b"0x" + CHUNKS + b"0\r\n\r\n",
            "too large to count": b"fffffffffffffffff\r\n" + BODY,
            "longer than it says": b"5\r\n" + BODY + b"\r\n0\r\n\r\n",
            "a trailer that is none": CHUNKS + b"0\r\nHTTP/1.1 200 OK\r\nx: y\r\n\r\n",
        }.items()
    },
    "gzip": case(
        OK + b"content-encoding: gzip\r\n" + PLAIN,
        right=Right(1, 1, ContractViolation, "content-encoding|gzip|compress"),
    ),
}

BODILESS: dict[str, Case] = {
    "204": case(b"HTTP/1.1 204 No Content\r\n\r\n", right=Right(1, 1, ServiceError, "204")),
    "304": case(b"HTTP/1.1 304 Not Modified\r\n" + LENGTH + b"\r\n", right=Right(1, 1, ServiceError, "304")),
    "205": case(b"HTTP/1.1 205 Reset\r\ncontent-length: 0\r\n\r\n", right=Right(1, 1, ServiceError, "205")),
    "206": case(OK.replace(b"200 OK", b"206 Part") + PLAIN, right=Right(1, 1, ServiceError, "206")),
    "302": case(OK.replace(b"200", b"302") + PLAIN, right=Right(1, 1, ServiceError, "302")),
    "520": case(OK.replace(b"200", b"520") + PLAIN, right=Right(1, 1, ServiceError, "520")),
    "999": case(OK.replace(b"200", b"999") + PLAIN, right=Right(1, 1, ServiceError, "999")),
    "403, cut": case(
        OK.replace(b"200", b"403") + b"content-length: 999\r\n\r\n{",
        FIN,
        right=Right(2, 1, ServiceError, "403"),
    ),
}

INTERIM: dict[str, Case] = {
    "100": case(b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\n" + OK + PLAIN, right=KEPT),
    "102 and 103": case(
        b"HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 103 Hints\r\ncontent-type: x\r\ncontent-length: 3\r\n\r\n",
        0.05,
        OK + PLAIN,
        right=KEPT,
    ),
    "fifty": case(b"HTTP/1.1 102 Wait\r\n\r\n" * 50 + OK + PLAIN, right=KEPT),
    "interim alone": case(b"HTTP/1.1 100 Continue\r\n\r\n", right=refused("end")),
    "101": case(
        b"HTTP/1.1 101 Switch\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n" + FORGED,
        right=refused("HTTP|upgrade|101|protocol"),
        h11=(REFUSED, Right(2, 1, ServiceError), Right(3, 1, ServiceError)),
        why="h11 takes it for an answer",
    ),
    "an upgrade that is offered": case(OK + b"upgrade: h2c\r\nconnection: upgrade\r\n" + PLAIN, right=KEPT),
}

_STARTS = {
    "099": b"HTTP/1.1 099 OK",
    "000": b"HTTP/1.1 000 OK",
    "1000": b"HTTP/1.1 1000 OK",
    "20": b"HTTP/1.1 20 OK",
    "2x0": b"HTTP/1.1 2x0 OK",
    "-200": b"HTTP/1.1 -200 OK",
    "OK": b"HTTP/1.1 OK",
    "nothing": b"HTTP/1.1",
    "two blanks": b"HTTP/1.1  200 OK",
    "a tab": b"HTTP/1.1\t200 OK",
    "HTTP/0.9": b"HTTP/0.9 200 OK",
    "HTTP/2.0": b"HTTP/2.0 200 OK",
    "HTTP/2": b"HTTP/2 200 OK",
    "HTTP/3.0": b"HTTP/3.0 200 OK",
    "HTTP/1": b"HTTP/1 200 OK",
    "HTTP/1.10": b"HTTP/1.10 200 OK",
    "http/1.1": b"http/1.1 200 OK",
    "RTSP/1.0": b"RTSP/1.0 200 OK",
    "ICE/1.0": b"ICE/1.0 200 OK",
    "ICY": b"ICY 200 OK",
    "a request": b"GET / HTTP/1.1",
    "a line before": b"x\r\nHTTP/1.1 200 OK",
    "a blank before": b" HTTP/1.1 200 OK",
}
_H11_VERSIONS = {"HTTP/0.9", "HTTP/2.0", "HTTP/3.0"}
_REST = OK.partition(b"\r\n")[2]

STATUS_LINES: dict[str, Case] = {
    **{
        f"line {name}": case(
            start + b"\r\n" + _REST + PLAIN,
            right=refused("HTTP"),
            h11=ENDS if name in _H11_VERSIONS else (),
            why="h11 takes any version of a digit and a digit" if name in _H11_VERSIONS else "",
        )
        for name, start in _STARTS.items()
    },
    "no HTTP": case(b"SSH-2.0-no\r\n\r\n", right=refused("HTTP")),
    "a body alone": case(BODY, right=refused("HTTP")),
    "an alert of TLS": case(b"\x15\x03\x03\x00\x02\x02\x28", right=refused("HTTP")),
    "frames of HTTP/2": case(b"\0\0\0\4\0\0\0\0\0", right=refused("HTTP")),
    "an empty line before": case(b"\r\n" + OK + PLAIN, right=(KEPT, refused("HTTP"))),
    "no reason": case(b"HTTP/1.1 200 \r\n" + _REST + PLAIN, right=KEPT),
    "no reason, no blank": case(b"HTTP/1.1 200\r\n" + _REST + PLAIN, right=KEPT),
    "a strange reason": case(b"HTTP/1.1 200 \xc3\xa9 \xff: \t!\r\n" + _REST + PLAIN, right=KEPT),
    "HTTP/1.0": case(OK.replace(b"1.1", b"1.0") + PLAIN, FIN, right=ENDS),
    "HTTP/1.0, not closed": case(OK.replace(b"1.1", b"1.0") + PLAIN, right=ENDS),
    "HTTP/1.0, kept": case(
        OK.replace(b"1.1", b"1.0") + b"connection: keep-alive\r\n" + PLAIN,
        right=(KEPT, ENDS),
    ),
}

# What comes unasked, behind an answer: whatever it is, the connection isn't used again.
_BEHIND = {
    "an answer": FORGED,
    "half an answer": FORGED[: len(FORGED) // 2],
    "a head": FORGED[:30],
    "an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n",
    "an error": b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    "garbage": b"\0garbage\r\n\r\n",
}
_FIRST = {"a length": OK + PLAIN, "chunks": OK + CHUNKED + b"\r\n" + CHUNKS + b"0\r\n\r\n"}
LEFTOVERS: dict[str, Case] = {
    f"{name} behind {first}, {when}": case(
        *writes,
        right=ENDS,
        h11=LEAKS if when == "at once" else (),
        why=H11_LEFTOVERS if when == "at once" else "",
    )
    for name, behind in _BEHIND.items()
    for first, data in _FIRST.items()
    for when, writes in {"at once": (data + behind,), "later": (data, 0.02, behind)}.items()
}
