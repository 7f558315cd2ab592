// The networks of float, by themselves: both types at once would keep the compiler twice as long.
#include "engine.h"

template void bind<float>(nb::module_ &m, const char *name);
