// SPDX-License-Identifier: BSL-1.0
// Self-relative pointers from C++: they convert, compare and iterate as pointers do,
// and lead to the same bytes in each of two mappings. They are cast as pointers are.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <new>
#include <stoa/region.h>
#include <stoa/ptr.h>

struct named {
	char name[16];
};
struct numbered {
	int number;
};
struct thing : named, numbered {
};

struct shelf {
	thing things[5];
	stoa::ptr<thing> best;
	stoa::ptr<numbered> as_number; // not at the start of a thing
	stoa::ptr<shelf> self;
	stoa::ptr<const named> none;
};

// Virtual functions are of one process: not for memory that is shared.
struct shape {
	virtual ~shape() = default;
};
struct circle : shape {
	int radius = 7;
};

static_assert(sizeof(stoa::ptr<thing>) == 8, "a word");
static_assert(std::is_same_v<std::pointer_traits<stoa::ptr<int>>::rebind<char>,
	stoa::ptr<char>>);

int
main()
{
	stoa_region_options o = stoa_region_options_init();
	STOA_CLEANUP(stoa_region) r = nullptr;
	STOA_CLEANUP(stoa_region) same = nullptr;
	o.size = sizeof(shelf);
	int rc = stoa_region_open(nullptr, STOA_CREATE, &o, &r);
	if (!rc) {
		o = stoa_region_options_init();
		o.fd = stoa_region_fd(r);
		rc = stoa_region_open(nullptr, STOA_RDONLY, &o, &same);
	}
	if (rc) {
		std::fprintf(stderr, "%s\n", stoa_error_text());
		return 1;
	}

	shelf *s = new (stoa_region_data(r)) shelf{};
	stoa::ptr<thing> first =
		std::pointer_traits<stoa::ptr<thing>>::pointer_to(s->things[0]);
	for (int i = 0; i < 5; i++) {
		first[i].number = i * 3 % 5;
		std::snprintf(first[i].name, sizeof first[i].name, "thing %d",
			i * 3 % 5);
	}
	std::sort(first, first + 5, [](const thing &a, const thing &b) {
		return a.number > b.number;
	});
	s->best = first;
	s->best.tag(5);
	s->as_number = s->best; // to a base class: the address is adjusted
	s->self = s;

	const shelf *t = static_cast<const shelf *>(stoa_region_data(same));
	stoa::ptr<numbered> copy =
		t->as_number; // a copy leads to the same target
	std::printf("%s, number %d, tag %u\n", t->best->name, copy->number,
		t->best.tag());
	std::printf("best is the first: %d; self is self: %d; none: %d\n",
		t->best == stoa::ptr<thing>(const_cast<thing *>(&t->things[0])),
		t->self.get() == t, !t->none);
	std::printf("back to the whole: %s\n",
		stoa::static_pointer_cast<thing>(copy)->name);

	stoa::ptr<const thing> fixed = s->best;
	stoa::const_pointer_cast<thing>(fixed)->number = 40;
	std::printf("not const any more: %d; as bytes: %c\n", s->best->number,
		*stoa::reinterpret_pointer_cast<char>(s->best));
	circle round;
	shape other;
	stoa::ptr<shape> one = &round, two = &other;
	std::printf("a circle of %d; the other is one: %d\n",
		stoa::dynamic_pointer_cast<circle>(one)->radius,
		static_cast<bool>(stoa::dynamic_pointer_cast<circle>(two)));
	return 0;
}
