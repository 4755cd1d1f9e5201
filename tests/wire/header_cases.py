"""Headers, right and wrong, odd and long."""

from wire.cases import KEPT, REFUSED, Case, Right, case, refused
from wire.framing_cases import BODY, H11_LENIENT, LENGTH, PLAIN, SIZE
from wire.sessions import OK

# h11 looks how long a head is when it has to wait for more of it.
H11_LONG = (KEPT, REFUSED, Right(2, 2))
_REFUSED = {
    "NUL": b"x: a\0b",
    "a carriage return": b"x: a\rb",
    "a carriage return at the end": b"x: a\r",
    "form feed": b"x: a\x0cb",
    "no colon": b"nonsense",
    "a blank before the colon": b"x : y",
    "a tab before the colon": b"x\t: y",
    "no name": b": y",
    "a strange name": b"x(y): z",
    "a name in another alphabet": b"x\xe9: y",
    "a blank in a name": b"x y: z",
}

HEADERS: dict[str, Case] = {
    **{
        f"{name} {where}": case(
            OK + (line + b"\r\n" + PLAIN if where == "first" else LENGTH + line + b"\r\n\r\n" + BODY),
            right=refused("HTTP|header"),
        )
        for name, line in _REFUSED.items()
        for where in ("first", "last")
    },
    "folded from nothing": case(
        b"HTTP/1.1 200 OK\r\n x: 1\r\n" + OK.partition(b"\r\n")[2] + PLAIN, right=refused("HTTP|header")
    ),
    "a length before the colon's blank": case(
        OK + b"content-length : 3\r\n" + PLAIN, right=refused("HTTP|header")
    ),
    # RFC 9112 5.2: a fold is refused, or reads as blanks.
    "folded": case(OK + b"x: 1\r\n  2\r\n\t3\r\n" + PLAIN, right=(KEPT, refused("HTTP|header|fold"))),
    "a folded type": case(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json;\r\n odata=minimalmetadata\r\n" + PLAIN,
        right=(KEPT, refused("HTTP|header|fold")),
    ),
    "a folded coding": case(
        OK + b"transfer-encoding:\r\n chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
        right=(KEPT, refused("HTTP|header|fold")),
    ),
    "a folded length": case(
        OK + b"content-length: %b\r\n %b\r\n\r\n" % (SIZE[:1], SIZE[1:]) + BODY, right=refused()
    ),
    "a control character": case(OK + b"x: a\x01b\r\n" + PLAIN, right=(KEPT, refused("HTTP|header"))),
    "bare line feeds": case(
        (OK + LENGTH + b"\r\n").replace(b"\r\n", b"\n") + BODY, right=(KEPT, refused("HTTP|header"))
    ),
    "a bare line feed in a value": case(OK + b"x: a\nb\r\n" + PLAIN, right=refused("HTTP|header")),
    "no blank after the colon": case(OK.replace(b": ", b":") + PLAIN, right=KEPT),
    "no value": case(OK + b"x:\r\ny: \r\n" + PLAIN, right=KEPT),
    "names in capitals": case(
        (OK + LENGTH).upper().replace(b"APPLICATION/JSON", b"application/json") + b"\r\n" + BODY, right=KEPT
    ),
    "other alphabets": case(OK + b"x: \xc3\xa9\r\ny: \xe9\xff\r\n" + PLAIN, right=KEPT),
    "30 KB": case(OK + b"x: " + b"y" * 30_000 + b"\r\n" + PLAIN, right=KEPT),
    "90 of a kilobyte": case(
        OK + b"".join(b"x%d: %b\r\n" % (n, b"y" * 1000) for n in range(90)) + PLAIN, right=KEPT
    ),
    "250 KB": case(
        OK + b"x: " + b"y" * 250_000 + b"\r\n" + PLAIN,
        right=refused("header"),
        h11=H11_LONG,
        why=H11_LENIENT,
    ),
    "400 KB": case(
        OK + b"x: " + b"y" * 400_000 + b"\r\n" + PLAIN,
        right=refused("header"),
        h11=H11_LONG,
        why=H11_LENIENT,
    ),
    "10,000": case(
        OK + b"x: y\r\n" * 10_000 + PLAIN,
        right=(KEPT, refused("header")),
    ),
    "100,000": case(
        OK + b"x: y\r\n" * 100_000 + PLAIN, right=refused("header"), h11=H11_LONG, why=H11_LENIENT
    ),
}
