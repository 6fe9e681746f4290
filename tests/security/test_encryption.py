"""`EncryptedCodec` by itself: a value opens where it was written, under a known key, unchanged; and nowhere else."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from session_store import EncryptedCodec, JsonCodec, TextCodec
from session_store.codecs import Place

KEY, OTHER_KEY = bytes(range(32)), bytes(range(32, 64))
HERE = Place("shop", "user-42", "basket", "tea")
MESSAGE = "not what this codec writes at this place"
# Digits and colons, in case lengths were taken for names; few characters, so that places are often neighbours.
PARTS = st.text("12:a", max_size=3)
PLACES = st.builds(Place, PARTS, PARTS, PARTS, st.none() | PARTS)


def codec(*keys: bytes, inner: Any = None, plain_integers: bool = False) -> EncryptedCodec[Any]:
    return EncryptedCodec(inner or TextCodec(), keys=keys or (KEY,), plain_integers=plain_integers)


def refusal(codec: EncryptedCodec[Any], data: bytes, place: Place = HERE) -> ValueError:
    with pytest.raises(ValueError, match=MESSAGE) as caught:
        codec.at(place).decode(data)
    return caught.value


@given(st.text(), PLACES)
def test_a_value_opens_where_it_was_written(value: str, place: Place) -> None:
    assert codec().at(place).decode(codec().at(place).encode(value)) == value


@given(PLACES, PLACES)
@example(Place("a", "b", "c", None), Place("a", "b", "c", ""))
@example(Place("a", "b", "1:a", None), Place("a", "b", "1", "a"))
@example(Place("a", "1:b", "c", None), Place("a1:b", "", "c", None))
def test_a_value_opens_at_no_other_place(one: Place, other: Place) -> None:
    assume(one != other)
    refusal(codec(), codec().at(one).encode("value"), other)


@pytest.mark.parametrize("plain_integers", [False, True])
def test_a_value_opens_only_as_it_was_written(plain_integers: bool) -> None:
    """Not when a bit of a byte is another one, nor when something is missing or more."""
    reading = codec(plain_integers=plain_integers)
    data = reading.at(HERE).encode("7")
    for index, byte in enumerate(data):
        for bit in range(8):
            refusal(reading, data[:index] + bytes([byte ^ 1 << bit]) + data[index + 1 :])
    for length in range(len(data)):
        refusal(reading, data[:length])
    for more in (data + b"\0", b"\1" + data, data + data):
        refusal(reading, more)


def test_a_value_opens_only_with_its_key() -> None:
    refusal(codec(OTHER_KEY), codec().at(HERE).encode("value"))


def test_a_key_that_has_the_id_of_another_opens_nothing() -> None:
    """The id finds a key; that it is the right one is for the tag to say."""
    one, other = (number.to_bytes(32, "big") for number in (45_303, 114_729))
    data = codec(one).at(HERE).encode("value")
    assert data[:5] == codec(other).at(HERE).encode("value")[:5]
    refusal(codec(other), data)


def test_keys_take_over_from_each_other() -> None:
    """The first one writes, all of them read, and what is not in the list any more reads nothing."""
    old = codec(KEY).at(HERE).encode("value")
    rotated = codec(OTHER_KEY, KEY)
    new = rotated.at(HERE).encode("value")
    assert rotated.at(HERE).decode(old) == rotated.at(HERE).decode(new) == "value"
    assert codec(OTHER_KEY).at(HERE).decode(new) == "value"
    refusal(codec(KEY), new)
    refusal(codec(OTHER_KEY), old)


def test_nothing_tells_why_a_value_does_not_open() -> None:
    """Too short, of another version, under another key, changed, or not the inner codec's: one error for all."""
    data = codec().at(HERE).encode("{")
    of_another_key = codec(OTHER_KEY).at(HERE).encode("{")
    wrong_tag = data[:-1] + bytes([data[-1] ^ 1])
    causes = [b"", data[:5], data[:20], b"\2" + data[1:], of_another_key, wrong_tag]
    refusals = [refusal(codec(), each) for each in causes]
    refusals += [refusal(codec(), data, HERE._replace(field=None)), refusal(codec(inner=JsonCodec()), data)]
    for each in refusals:
        assert (type(each), each.args, each.__cause__, each.__context__) == (ValueError, (MESSAGE,), None, None)
        assert vars(each) == {}


@pytest.mark.parametrize("number", [0, 7, -1, 10, 2**63 - 1, -(2**63)])
def test_a_plain_integer_is_told_as_one_or_read(number: int) -> None:
    """It lies there in clear: to tell it gives nothing away. Digits are left to the inner codec."""
    data = str(number).encode()
    with pytest.raises(ValueError, match="a plain integer, as incr and hincrby write it") as caught:
        codec().at(HERE).decode(data)
    assert (caught.value.__cause__, caught.value.__context__, vars(caught.value)) == (None, None, {})
    assert codec(plain_integers=True).at(HERE).decode(data) == str(number)
    read = codec(inner=JsonCodec(), plain_integers=True).at(HERE).decode(data)
    assert (read, type(read)) == (number, int)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"-", b"-0", b"+1", b"00", b"07", b"-07", b" 7", b"7 ", b"7\n", b"7\0", b"1.0", b"1e3", b"0x7", b"1_0"),
        *(
            "\N{ARABIC-INDIC DIGIT SEVEN}".encode(),
            b"9223372036854775808",
            b"-9223372036854775809",
            b"1" * 5_000,
            b'"7"',
            b"true",
        ),
    ],
)
@pytest.mark.parametrize("plain_integers", [False, True])
def test_what_redis_writes_for_no_integer_is_none(data: bytes, plain_integers: bool) -> None:
    refusal(codec(inner=JsonCodec(), plain_integers=plain_integers), data)


def test_a_plain_integer_that_the_inner_codec_refuses_is_refused() -> None:
    """A codec that never writes digits does not read them either, and what it says of them is not handed on."""

    class Quoted(TextCodec):
        def decode(self, data: bytes, /) -> str:
            raise ValueError(f"no quotes: {data!r}")

    reading = codec(inner=Quoted(), plain_integers=True)
    assert (refusal(reading, b"4242").__context__, repr(reading)) == (
        None,
        "EncryptedCodec(TextCodec(), keys=1, plain_integers=True)",
    )


def test_no_two_values_are_encrypted_alike() -> None:
    """Each has a nonce of its own, and hides what it holds."""
    written = [codec().at(HERE).encode("value") for _ in range(1_000)]
    assert len({data[5:17] for data in written}) == len(written)
    assert all(b"value" not in data and len(data) == len("value") + 33 for data in written)


@pytest.mark.parametrize(
    ("field", "data"),
    [
        ("tea", "01122e10f5000102030405060708090a0b007015a7067aa780e9d544715f54bcc551f36742f86ce1"),
        (None, "01122e10f5000102030405060708090a0b007015a7067aa72ff1ebb5bfd921ef477ab716fcc8cfd0"),
    ],
)
def test_what_an_earlier_release_wrote_can_be_read(field: str | None, data: str) -> None:
    assert codec().at(HERE._replace(field=field)).decode(bytes.fromhex(data)) == "Grüße"


def test_what_the_inner_codec_refuses_is_its_type_error() -> None:
    with pytest.raises(TypeError, match="value must be a str, got int"):
        codec().at(HERE).encode(5)
    with pytest.raises(TypeError, match="value must be a JSON value"):
        codec(inner=JsonCodec()).at(HERE).encode({1})


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        (KEY, TypeError, "list or tuple of bytes, got bytes"),
        (KEY.hex(), TypeError, "list or tuple of bytes, got str"),
        ({KEY}, TypeError, "list or tuple of bytes, got set"),
        (None, TypeError, "got None"),
        ([], ValueError, "at least one"),
        ([KEY.hex()], TypeError, "keys must be bytes, got str"),
        ([bytearray(KEY)], TypeError, "keys must be bytes, got bytearray"),
        ([KEY[:16]], ValueError, "32 bytes, got one of 16"),
        ([OTHER_KEY, KEY + b"!"], ValueError, "32 bytes, got one of 33"),
        ([KEY, KEY], ValueError, "must differ"),
        ([(45_303).to_bytes(32, "big"), (114_729).to_bytes(32, "big")], ValueError, "so must their ids"),
    ],
)
def test_bad_keys_are_refused_and_not_shown(keys: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        EncryptedCodec(TextCodec(), keys=keys)
    for shown in (f"{caught.value!r}", f"{caught.value.__context__!r}"):
        assert repr(KEY)[2:20] not in shown
        assert KEY.hex()[:8] not in shown


@pytest.mark.parametrize("inner", [TextCodec, None, "text", codec()])
def test_what_is_encrypted_comes_from_a_codec(inner: Any) -> None:
    with pytest.raises(TypeError, match="inner must be a codec"):
        EncryptedCodec(inner, keys=[KEY])


def test_a_codec_shows_no_key_and_hands_none_on() -> None:
    made = codec(KEY, OTHER_KEY)
    assert repr(made) == "EncryptedCodec(TextCodec(), keys=2)"
    for shown in (repr(made.at(HERE)), repr(made._ring)):
        assert repr(KEY)[2:20] not in shown
        assert KEY.hex()[:8] not in shown
    for hand_on in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            hand_on(made)


def test_a_place_shows_no_name_but_the_prefix() -> None:
    assert repr(HERE) == "Place(prefix='shop', ...)"


def test_threads_share_a_codec() -> None:
    """What one encrypts while another does is not mixed up."""
    made, failed = codec(), []

    def work(number: int) -> None:
        for turn in range(300):
            place, value = HERE._replace(field=f"{number}.{turn}"), f"{number} " * turn
            if made.at(place).decode(made.at(place).encode(value)) != value:
                failed.append(place)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_without_cryptography_it_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['cryptography'] = None; import session_store; "
        "session_store.EncryptedCodec(session_store.TextCodec(), keys=[bytes(32)])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.stderr.splitlines()[-1].startswith("ImportError: EncryptedCodec needs cryptography")
    assert "session-store[encryption]" in run.stderr
