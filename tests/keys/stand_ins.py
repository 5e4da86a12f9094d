"""A8 and BW until they are there."""


def _stand_ins() -> None:
    from hsm import keys, layouts, primitives, uses
    from hsm.codec import Command, Field
    from hsm.commands.bench import hex_of, performs
    from hsm.kinds import Hex, Key
    from hsm.layouts.common import KEY_TYPE, SCHEME, ZMK
    from hsm.lmk import NewKey

    if "BW" in layouts.COMMANDS:
        return
    bw = Command(
        code="BW", title="", request=(*layouts.BU.request[:4],), response=(Field("key", Key()),)
    )
    a8 = Command(
        code="A8",
        title="",
        request=(
            Field("key_type", KEY_TYPE),
            Field("zmk", ZMK),
            Field("key", Key()),
            Field("scheme_zmk", SCHEME),
        ),
        response=(Field("key_zmk", Key()), Field("check_value", Hex(6))),
    )
    layouts.COMMANDS["BW"], layouts.COMMANDS["A8"] = bw, a8

    @performs(bw)
    def bw_(values, bench):
        key_type = values.get("key_type") or "0" + values["pair_code"]
        old = bench.service.slots.before(bench.tail.lmk_id)
        clear = old.unwrap(key_type, values["key"])
        return {"key": bench.keep(NewKey(key_type, keys.scheme_for(len(clear))), clear)}

    @performs(a8)
    def a8_(values, bench):
        zmk = bench.key(uses.ZMK_WRAPS, values["zmk"], "zmk")
        clear = bench.key(uses.any_use(values["key_type"]), values["key"], "key")
        if len(zmk) < len(clear):
            from hsm.errors import CommandError

            raise CommandError("27", "zmk")
        return {
            "key_zmk": keys.wrap(zmk, values["scheme_zmk"], clear),
            "check_value": hex_of(primitives.check_value(clear)[:3]),
        }


_stand_ins()
