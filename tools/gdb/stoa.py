# SPDX-License-Identifier: BSL-1.0
"""Pretty-printers of gdb for what lies in a segment: references, strings,
containers, locks, owners; and for the handle of a segment.  README.md has the rest.

Nothing that is read is believed: an offset is compared with the segment's heap
before it is followed, a count with the room that there is, and every loop ends.
What is wrong is shown as <damaged: why>, and gdb goes on.

The layout is that of src/segment/format.h and src/container/format.h, by number,
because the library may have no debugging information; tests/gdb compares them.
"""
import functools
import struct

import gdb
import gdb.printing

MAGIC = 0x0A1A0D414F545389
LAYOUT_VERSION = 4
# name: (offset, format); tests/gdb/test_printers.py compares both
HEADER = {
    "magic": (0, "Q"), "layout_version": (8, "I"), "slot_count": (76, "I"),
    "lane_stride": (80, "I"), "slots_off": (96, "Q"), "lanes_off": (104, "Q"),
    "heap_off": (128, "Q"), "reserve": (136, "Q"), "flags": (256, "I"),
    "committed": (320, "Q"),
}
SLOT = {
    "generation": (4, "I"), "waiting": (16, "Q"), "woken": (24, "Q"), "pid": (48, "I"),
    "tid": (52, "I"), "paged": (80, "I"),
}
LANE = {"held": (24, "26Q")}
HEADER_SIZE, SLOT_SIZE, TOKEN_FROM_END = 1024, 128, 8
SLOTS_MAX = 256
WORD_WAITERS, WORD_SLOT, GENERATION = 0x80000000, 0x1FF, 0xFFFFF
HELD_SHARED = 2
TOKEN_OWNER_DIED, TOKEN_TID = 0x40000000, 0x1FFFFFFF
SEGMENT_DAMAGED = 1
STR_INLINE, STR_HEAP, STR_CAPACITY = 22, 0xFF, (1 << 56) - 1
TABLE_OFFSET, TABLE_SHIFT, TABLE_LOG2 = (1 << 56) - 1, 56, range(2, 41)
GROUP, SLOT_LIVE = 16, 0x80
GROUPS_SHOWN = 1 << 16  # of a table: a damaged one must not take for ever
SEARCHED = 64 << 20     # how far behind an address a buffer may begin


# What reading in a stopped process may end with.
FAILURES = (gdb.error, RuntimeError, struct.error, OverflowError, ValueError)


class Problem(Exception):
    """Why something cannot be shown; the text between < and >."""


class Damaged(Problem):
    """What the memory says cannot be."""

    def __str__(self):
        return "damaged: " + super().__str__()


def read(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def unpack(layout, data, name):
    offset, form = layout[name]
    words = struct.unpack_from("<" + form, data, offset)
    return words[0] if len(words) == 1 else words


# ---- segments -------------------------------------------------------------------


class Segment:
    """A mapped segment, seen from outside."""

    def __init__(self, base):
        data = read(base, HEADER_SIZE)
        self.base = base
        for name in HEADER:
            setattr(self, name, unpack(HEADER, data, name))
        if self.magic != MAGIC:
            raise Damaged("no segment begins there")
        if self.layout_version != LAYOUT_VERSION:
            raise Damaged("its layout has version %d" % self.layout_version)
        if not 0 < self.slot_count <= SLOTS_MAX or self.heap_off >= self.reserve:
            raise Damaged("its header is wrong")

    def holds(self, address):
        return self.base <= address < self.base + self.reserve

    def at(self, off, size, align=1):
        """The address of bytes of the heap."""
        end = min(self.committed, self.reserve)
        if off % align or off < self.heap_off or size > end or off > end - size:
            raise Damaged("offset %#x is not in the heap" % off)
        return self.base + off

    def slot(self, index):
        data = read(self.base + self.slots_off + index * SLOT_SIZE, SLOT_SIZE)
        return {name: unpack(SLOT, data, name) for name in SLOT}

    def token(self, index):
        end = self.base + self.lanes_off + (index + 1) * self.lane_stride
        return struct.unpack("<I", read(end - TOKEN_FROM_END, 4))[0]

    def in_use(self, index):
        """Somebody has the slot, living or dead."""
        if not self.slot(index)["paged"]:
            return False
        return bool(self.token(index) & (TOKEN_TID | TOKEN_OWNER_DIED))

    def held(self, index):
        lane = self.base + self.lanes_off + index * self.lane_stride
        return unpack(LANE, read(lane, 232), "held")

    def threads_max(self):
        """The last slot is kept for the command, if there are three."""
        return self.slot_count - (self.slot_count > 2)

    def threads(self):
        return [index for index in range(self.slot_count) if self.in_use(index)]


def mappings():
    """(start, end) of those of the process or the core."""
    found = []
    try:
        lines = gdb.execute("info proc mappings", to_string=True).splitlines()
    except gdb.error:
        return found
    for line in lines:
        words = line.split()
        if len(words) > 1 and words[0].startswith("0x") and words[1].startswith("0x"):
            found.append((int(words[0], 16), int(words[1], 16)))
    return sorted(found)


class Segments:
    """Which ones there are, as long as the process stands still."""

    def __init__(self):
        self.forget()
        for name in ("cont", "stop", "exited", "new_objfile", "clear_objfiles",
                     "memory_changed", "inferior_deleted", "before_prompt"):
            if hasattr(gdb.events, name):
                getattr(gdb.events, name).connect(self.forget)

    def forget(self, _event=None):
        self.whose = None

    def look(self):
        inferior = gdb.selected_inferior()
        whose = (inferior.num, inferior.pid)
        if self.whose != whose:
            self.whose, self.maps, self.found = whose, mappings(), {}
            for start, _ in self.maps:
                self.add(start)

    def add(self, base):
        try:
            self.found[base] = Segment(base)
        except (Problem, gdb.error, struct.error):
            return None
        return self.found[base]

    def of(self, address):
        """The one that holds the address; else the only one; else None."""
        self.look()
        if address is not None:
            for segment in self.found.values():
                if segment.holds(address):
                    return segment
            segment = self.buffer_of(address)
            if segment:
                return segment
        return next(iter(self.found.values())) if len(self.found) == 1 else None

    def buffer_of(self, address):
        """A segment in a caller's buffer begins where it likes, before the address."""
        end = address + 1
        for start, stop in reversed(self.maps):
            if start < end <= stop and end > address - SEARCHED:
                for at in magics(max(start, address - SEARCHED), end):
                    segment = self.add(at)
                    if segment and segment.holds(address):
                        return segment
                    self.found.pop(at, None)
                end = start  # and on in the mapping before, if nothing lies between
        return None


def magics(start, end):
    """Where the first word of a segment stands between two addresses of a mapping."""
    pattern = struct.pack("<Q", MAGIC)
    while start < end:
        try:
            start = gdb.selected_inferior().search_memory(start, end - start, pattern)
        except gdb.error:
            return
        if start is None:
            return
        yield start
        start += len(pattern)


segments = Segments()


def address_of(value):
    """Where the value lies; None: in no memory."""
    address = value.address
    return None if address is None else int(address)


def segment_of(value):
    segment = segments.of(address_of(value))
    if segment is None:
        raise Problem("its segment is not in memory")
    return segment


def who(segment, index, generation):
    """A thread, by slot and generation."""
    text = "slot %d, generation %d" % (index, generation)
    if segment is None:
        return text
    if index >= segment.slot_count:
        return text + " <damaged: there are %d slots>" % segment.slot_count
    slot = segment.slot(index)
    if (slot["generation"] ^ generation) & GENERATION:
        return text + " (gone: the slot is in generation %d)" % slot["generation"]
    if not segment.in_use(index):
        return text + " (nobody has the slot)"
    token = segment.token(index)
    if token & TOKEN_OWNER_DIED and not token & TOKEN_TID:
        return text + " (dead, not yet recovered)"
    return text + " (process %d, thread %d)" % (slot["pid"], slot["tid"])


# ---- printers -------------------------------------------------------------------


def guarded(function):
    """What cannot be shown says why."""
    @functools.wraps(function)
    def inside(self):
        try:
            return function(self)
        except Problem as problem:
            return "<%s>" % problem
        except FAILURES as error:
            return "<cannot be shown: %s>" % error
    return inside


class Printer:
    def __init__(self, value):
        self.value = value

    @guarded
    def to_string(self):
        return self.text()


def typed_null(value):
    """What a STOA_REF's type_ says it points to; None: a plain stoa_ref."""
    kind = value.type.strip_typedefs()
    return value["type_"].type if kind.code == gdb.TYPE_CODE_UNION else None


def resolve(value):
    """The pointer that a STOA_REF or a stoa_ref stands for."""
    pointer = typed_null(value)
    off = int(value["off"] if pointer is None else value["ref"]["off"])
    if pointer is None:
        pointer = gdb.lookup_type("void").pointer()
    if off == 0:
        return gdb.Value(0).cast(pointer)
    segment = segment_of(value)
    try:
        size = pointer.target().strip_typedefs().sizeof or 1
    except (gdb.error, ValueError):
        size = 1
    return gdb.Value(segment.at(off, size)).cast(pointer)


class RefPrinter(Printer):
    """null, or the pointer that it stands for, to be pasted behind `print *`."""

    def text(self):
        pointer = typed_null(self.value)
        off = int(self.value["off"] if pointer is None else self.value["ref"]["off"])
        if off == 0:
            return "null"
        target = "void *" if pointer is None else str(pointer)
        try:
            return "(%s) %#x" % (target, int(resolve(self.value)))
        except Problem as problem:
            return "(%s) at offset %#x <%s>" % (target, off, problem)


def near(value):
    """The address of a STOA_PTR's or stoa_ptr's target (0: null), and its tag."""
    if value.address is None:
        raise Problem("its own address is not known")
    at = int(value.address)
    kind = value.type.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_UNION:
        value = value["ptr"]
        kind = value.type.strip_typedefs()
    word = int(value["word_"])
    bits, shift, mark, tags = (32, 1, 1, 0) if kind.tag == "stoa_ptr32" else (64, 8, 128, 127)
    if word >> (bits - 1):
        word -= 1 << bits
    return (at + (word >> shift)) % (1 << 64) if word & mark else 0, word & tags


class PtrPrinter(Printer):
    """null, or the pointer that it stands for; the tag, if it has one."""

    def text(self):
        pointer = typed_null(self.value)
        address, tag = near(self.value)
        target = "void *" if pointer is None else str(pointer)
        text = "(%s) %#x" % (target, address) if address else "null"
        return "%s, tag %d" % (text, tag) if tag else text


class StrPrinter(Printer):
    """The text, as gdb prints texts."""

    def display_hint(self):
        return None if self.to_string_is_message else "string"

    to_string_is_message = False

    def to_string(self):
        text = guarded(StrPrinter.text)(self)
        self.to_string_is_message = isinstance(text, str) and text.startswith("<")
        return text

    def text(self):
        words = [int(self.value["word_"][i]) for i in range(3)]
        tag = words[2] >> 56
        if tag == STR_HEAP:
            size, capacity = words[1], words[2] & STR_CAPACITY
            if size >= capacity:
                raise Damaged("%d characters in %d" % (size, capacity))
            address = segment_of(self.value).at(words[0], capacity)
            if read(address + size, 1) != b"\0":
                raise Damaged("no NUL at its end")
        elif tag <= STR_INLINE:
            size, address = tag, address_of(self.value)
        else:
            raise Damaged("a tag of %#x" % tag)
        if address is None:
            data = struct.pack("<3Q", *words)[:size]
            return data.decode("utf-8", "backslashreplace")
        if size == 0:
            return ""
        char = gdb.lookup_type("char").pointer()
        return gdb.Value(address).cast(char).lazy_string("", size)


class OwnerPrinter(Printer):
    def text(self):
        slot, generation = int(self.value["slot_"]), int(self.value["generation_"])
        if slot == 0:
            return "nobody" if generation == 0 else "<damaged: a generation of nobody>"
        return who(segments.of(address_of(self.value)), slot - 1, generation)


def holder(value):
    """(text, waiters) of the word that every lock begins with."""
    word = int(value["word_"])
    waiters = ", somebody sleeps" if word & WORD_WAITERS else ""
    word &= ~WORD_WAITERS
    if word == 0:
        return "", waiters
    index = (word & WORD_SLOT) - 1
    if index < 0:
        raise Damaged("a word without a slot: %#x" % word)
    segment = segments.of(address_of(value))
    return "held by " + who(segment, index, word >> 9), waiters


class MutexPrinter(Printer):
    def text(self):
        text, waiters = holder(self.value)
        return (text or "free") + waiters


class RwlockPrinter(Printer):
    def readers(self):
        """Of the slots that may read, those that say so in their lane."""
        address = address_of(self.value)
        segment = segments.of(address)
        if segment is None or address is None or not segment.holds(address):
            return []
        wanted = address - segment.base | HELD_SHARED
        found = []
        for index in range(min(segment.slot_count, SLOTS_MAX)):
            bits = int(self.value["readers_"][index // 64])
            if bits >> index % 64 & 1 and segment.in_use(index) \
                    and wanted in segment.held(index):
                found.append(who(segment, index, segment.slot(index)["generation"]))
        return found

    def text(self):
        text, waiters = holder(self.value)
        readers = self.readers()
        if readers:
            text += (", " if text else "") + "read by " + "; ".join(readers)
        return (text or "free") + waiters


class CondPrinter(Printer):
    def text(self):
        address = address_of(self.value)
        segment = segments.of(address)
        seq = int(self.value["seq_"])
        text = "somebody waits" if seq & 1 else "nobody waits"
        if seq & 1 and segment and address is not None and segment.holds(address):
            off = address - segment.base
            waiters = [who(segment, index, segment.slot(index)["generation"])
                       for index in segment.threads()
                       if segment.slot(index)["woken"] == off]
            text += "".join(": " + "; ".join(waiters) if waiters else "")
        return "%s, %d wake-ups and arrivals" % (text, seq >> 1)


class SegmentPrinter(Printer):
    """A stoa_segment *, also where its type is not complete."""

    def name(self, pointer):
        """As the library calls it, if that has debugging information."""
        try:
            handle = self.value.dereference() if pointer else self.value
            return "'%s' " % handle["name"].string("utf-8", "replace")
        except (gdb.error, UnicodeError):
            return ""

    def text(self):
        pointer = self.value.type.strip_typedefs().code == gdb.TYPE_CODE_PTR
        address = int(self.value) if pointer else address_of(self.value)
        if address == 0:
            return "0x0"
        text = "(stoa_segment *) %#x" % address
        try:
            base = struct.unpack("<Q", read(address, 8))[0]
            segments.look()
            segment = segments.found.get(base) or segments.add(base)
            if segment is None:
                raise Problem("none")
            attached = len(segment.threads())
        except (Problem, gdb.error):
            return text + " <no segment in memory>"
        text += ": %sat %#x, heap of %d KiB up to %d KiB, %d of %d threads" % (
            self.name(pointer), segment.base,
            (segment.committed - segment.heap_off) // 1024,
            (segment.reserve - segment.heap_off) // 1024, attached,
            segment.threads_max())
        return text + (", damaged" if segment.flags & SEGMENT_DAMAGED else "")


# ---- containers -----------------------------------------------------------------


class Description:
    """A stoa_type of the program: what a container's words do not say."""

    def __init__(self, value):
        self.name = value["name"].string()
        self.align, self.boxed = int(value["align"]), bool(int(value["boxed"]))
        self.value = value

    def part(self, which):
        pointer = self.value[which]
        return Description(pointer.dereference()) if int(pointer) else None

    def type(self):
        for name in (self.name, "struct " + self.name,
                     {"bool": "_Bool"}.get(self.name, self.name)):
            try:
                return gdb.lookup_type(name)
            except gdb.error:
                continue
        raise Problem("no type %s is known here" % self.name)

    @staticmethod
    def of(name):
        """Of the container of that name; None: not in the debugging information."""
        for look in (lambda n: gdb.lookup_symbol(n)[0], gdb.lookup_static_symbol,
                     gdb.lookup_global_symbol):
            try:
                symbol = look("stoa_type_" + name)
                value = symbol.value() if symbol else None
                if value is not None:
                    if value.type.code == gdb.TYPE_CODE_REF:
                        value = value.referenced_value()
                    return Description(value)
            except gdb.error:
                continue
        return None


def object_at(address, kind):
    return gdb.Value(address).cast(kind.pointer()).dereference()


class Container(Printer):
    """Of a template (X = { core_ }) with its types, or a bare core without."""

    def __init__(self, value):
        super().__init__(value)
        kind = value.type.strip_typedefs()
        self.name = kind.tag
        self.core = value["core_"] if kind.fields()[0].name == "core_" else value
        self.known = Description.of(self.name) if self.core is not value else None

    def word(self, name):
        return int(self.core[name + "_"])

    def text(self):
        self.verify()
        return "%s of %d%s" % (self.name, self.word("count"), self.more())

    def more(self):
        return ""

    def children(self):
        try:
            self.verify()
        except (Problem, *FAILURES):
            return  # the text says so
        if not self.known or not self.word("count"):
            return
        try:
            yield from self.elements()
        except Problem as problem:
            yield from self.note("<%s>" % problem)
        except FAILURES as error:
            yield from self.note("<cannot be shown: %s>" % error)

    def note(self, text):
        """Behind the elements; of a map it is a value, which has a key."""
        if self.display_hint() == "map":
            yield "[...]", "..."
        yield "[...]", text

    def boxed_at(self, segment, address, kind):
        """The value whose block's offset lies there."""
        off = struct.unpack("<Q", read(address, 8))[0]
        return object_at(segment.at(off, kind.sizeof), kind)


class VecPrinter(Container):
    def display_hint(self):
        return "array"

    def verify(self):
        count, capacity, size = (self.word(n) for n in ("count", "capacity", "size"))
        if count > capacity:
            raise Damaged("%d elements in room for %d" % (count, capacity))
        if capacity:
            segment_of(self.core).at(self.word("data"), capacity * size, 16)

    def more(self):
        return ", room for %d" % self.word("capacity")

    def elements(self):
        kind = self.known.part("val").type()
        size, segment = self.word("size"), segment_of(self.core)
        if size != (8 if self.word("boxed") else kind.sizeof):
            raise Damaged("elements of %d bytes are no %s" % (size, kind))
        for i in range(self.word("count")):
            address = segment.base + self.word("data") + i * size
            yield "[%d]" % i, self.boxed_at(segment, address, kind) \
                if self.word("boxed") else object_at(address, kind)


class HashmapPrinter(Container):
    def display_hint(self):
        return "map" if self.known and self.known.part("val") else "array"

    def table(self):
        """(offset, log2 of its slots)"""
        word = self.word("table")
        return word & TABLE_OFFSET, word >> TABLE_SHIFT

    def head(self):
        """Bytes of control before a group's slots."""
        key, val = self.known.part("key"), self.known.part("val")
        aligns = [16, key.align, 8 if val and self.word("boxed") else
                  val.align if val else 1]
        return max(aligns)

    def verify(self):
        off, log2 = self.table()
        count = self.word("count")
        if word_is_empty(off, log2, count):
            return
        if log2 not in TABLE_LOG2:
            raise Damaged("2^%d slots" % log2)
        if count > self.word("used") or self.word("used") > 1 << log2:
            raise Damaged("%d in %d of 2^%d slots"
                          % (count, self.word("used"), log2))
        segment_of(self.core).at(off, (1 << log2) * self.word("slot_size"), 16)

    def live(self):
        """Addresses of the slots that are taken."""
        off, log2 = self.table()
        size, head, segment = self.word("slot_size"), self.head(), segment_of(self.core)
        groups = 1 << max(log2 - 4, 0)
        valid = min(1 << log2, GROUP)
        stride = head + GROUP * size
        segment.at(off, (groups - 1) * stride + head + valid * size, 16)
        for g in range(min(groups, GROUPS_SHOWN)):
            group = segment.base + off + g * stride
            for i, control in enumerate(read(group, GROUP)[:valid]):
                if control & SLOT_LIVE:
                    yield group + head + i * size
        if groups > GROUPS_SHOWN:
            raise Problem("large: the rest is not shown")

    def elements(self):
        key, val = self.known.part("key").type(), self.known.part("val")
        val, segment = val.type() if val else None, segment_of(self.core)
        val_off, boxed = self.word("val_off"), self.word("boxed")
        wanted = key.sizeof + ((8 if boxed else val.sizeof) if val else 0)
        if wanted > self.word("slot_size") or val_off > self.word("slot_size"):
            raise Damaged("slots of %d bytes are too small" % self.word("slot_size"))
        for number, slot in enumerate(self.live()):
            value = None
            if val:
                value = self.boxed_at(segment, slot + val_off, val) if boxed \
                    else object_at(slot + val_off, val)
            yield "[%d]" % (2 * number), object_at(slot, key)
            if val:
                yield "[%d]" % (2 * number + 1), value


def word_is_empty(off, log2, count):
    """Zero bytes are an empty map."""
    if off == 0 and log2 == 0 and count == 0:
        return True
    if off == 0:
        raise Damaged("%d in no table" % count)
    return False


# ---- which printer --------------------------------------------------------------

BY_TAG = {
    "stoa_ref": RefPrinter, "stoa_ptr": PtrPrinter, "stoa_ptr32": PtrPrinter, "stoa_str": StrPrinter, "stoa_owner": OwnerPrinter,
    "stoa_mutex": MutexPrinter, "stoa_rwlock": RwlockPrinter, "stoa_cond": CondPrinter,
    "stoa_vec": VecPrinter, "stoa_hashmap": HashmapPrinter, "stoa_segment": SegmentPrinter,
}


def of_union(kind):
    """STOA_REF(T), STOA_PTR(T): unions without a name, of a word and a T *type_."""
    for field, tag, printer in (("ref", "stoa_ref", RefPrinter), ("ptr", "stoa_ptr", PtrPrinter)):
        fields = kind.fields()
        if [f.name for f in fields] == [field, "type_"] \
                and fields[0].type.strip_typedefs().tag == tag:
            return printer
    return None


def printer_of(kind):
    kind = kind.strip_typedefs().unqualified()
    if kind.code == gdb.TYPE_CODE_PTR:
        target = kind.target().strip_typedefs()
        return SegmentPrinter if target.tag == "stoa_segment" else None
    if kind.code == gdb.TYPE_CODE_UNION:
        return of_union(kind)
    if kind.code != gdb.TYPE_CODE_STRUCT:
        return None
    if kind.tag in BY_TAG:
        return BY_TAG[kind.tag]
    fields = kind.fields()
    if len(fields) == 1 and fields[0].name == "core_":
        core = fields[0].type.strip_typedefs().tag
        return BY_TAG[core] if core in ("stoa_vec", "stoa_hashmap") else None
    return None


class Part(gdb.printing.SubPrettyPrinter):
    """A name for `disable pretty-printer global stoa;NAME`."""


class Printers(gdb.printing.PrettyPrinter):
    def __init__(self):
        parts = {name: Part(name[5:]) for name in BY_TAG}
        super().__init__("stoa", list(parts.values()))
        self.parts = {BY_TAG[name]: part for name, part in parts.items()}

    def __call__(self, value):
        try:
            printer = printer_of(value.type)
            if printer is None or not self.parts[printer].enabled:
                return None
            return printer(value)
        except (TypeError, *FAILURES):
            return None


class Get(gdb.Function):
    """$stoa_get(REF): the pointer that a STOA_REF or a STOA_PTR stands for.

Usage: print *$stoa_get(list->first)
"""

    def __init__(self):
        super().__init__("stoa_get")

    def invoke(self, ref):
        kind = ref.type.strip_typedefs().unqualified()
        printer = printer_of(kind)
        if printer not in (RefPrinter, PtrPrinter):
            raise gdb.GdbError("$stoa_get wants a STOA_REF or a STOA_PTR")
        try:
            if printer is PtrPrinter:
                pointer = typed_null(ref) or gdb.lookup_type("void").pointer()
                return gdb.Value(near(ref)[0]).cast(pointer)
            return resolve(ref)
        except Problem as problem:
            raise gdb.GdbError(str(problem)) from None


gdb.printing.register_pretty_printer(None, Printers(), replace=True)
Get()
