// The networks of double, by themselves: both types at once would keep the compiler twice as long.
#include "engine.h"

template void bind<double>(nb::module_ &m, const char *name);
