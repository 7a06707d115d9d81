// The loops of row_gradients.h; see versions.inl.

template <class Step>
WEFT_INLINE void over_vectors(std::int64_t cols, Step step) {
  std::int64_t j = 0;
  for (; j + kLanes <= cols; j += kLanes) step(j, std::int64_t{kLanes});
  if (j < cols) step(j, cols - j);
}

WEFT_INLINE Vec take(const float* p, std::int64_t n) { return n == kLanes ? load(p) : load_part(p, n); }
WEFT_INLINE void put(float* p, Vec v, std::int64_t n) { n == kLanes ? store(p, v) : store_part(p, v, n); }

// y = x s (w + offset) with s = 1/√(mean x² + eps):  dx = s (g − x s² mean(g x)), g = dy (w + offset).
static void rms_norm_gradient_row(const NormGradient& io, std::int64_t row, float* d_weight) {
  const float* x = io.x + row * io.cols;
  const float* dy = io.dy + row * io.cols;
  float* dx = io.dx + row * io.cols;
  Vec squares[2] = {}, products[2] = {};
  over_vectors(
      io.cols, [&](std::int64_t j, std::int64_t n) __attribute__((always_inline)) {
        const Vec v = take(x + j, n), g = take(dy + j, n) * (take(io.weight + j, n) + io.offset);
        squares[j / kLanes % 2] += v * v;
        products[j / kLanes % 2] += g * v;
      });
  const float cols = static_cast<float>(io.cols);
  const float scale = 1.0f / __builtin_sqrtf(sum_of(squares[0] + squares[1]) / cols + io.eps);
  const float pull = sum_of(products[0] + products[1]) / cols * scale * scale;
  over_vectors(
      io.cols, [&](std::int64_t j, std::int64_t n) __attribute__((always_inline)) {
        const Vec v = take(x + j, n), d = take(dy + j, n), g = d * (take(io.weight + j, n) + io.offset);
        if (d_weight) put(d_weight + j, take(d_weight + j, n) + d * v * scale, n);
        put(dx + j, (g - v * pull) * scale, n);
      });
}

// y = h w + b with h = (x − mean) s:  dx = s (g − mean(g) − h mean(g h)), g = dy w.
static void layer_norm_gradient_row(const NormGradient& io, std::int64_t row, float* d_weight, float* d_bias) {
  const float* x = io.x + row * io.cols;
  const float* dy = io.dy + row * io.cols;
  float* dx = io.dx + row * io.cols;
  const float cols = static_cast<float>(io.cols);
  Vec total[2] = {}, sums[2] = {};
  over_vectors(
      io.cols, [&](std::int64_t j, std::int64_t n) __attribute__((always_inline)) {
        total[j / kLanes % 2] += take(x + j, n);
        sums[j / kLanes % 2] += take(dy + j, n) * take(io.weight + j, n);
      });
  const float mean = sum_of(total[0] + total[1]) / cols, mean_g = sum_of(sums[0] + sums[1]) / cols;
  Vec squares[2] = {}, products[2] = {};
  over_vectors(
      io.cols, [&](std::int64_t j, std::int64_t n) __attribute__((always_inline)) {
        Vec d = take(x + j, n) - mean;
        if (n < kLanes) d = load_part(reinterpret_cast<const float*>(&d), n);
        squares[j / kLanes % 2] += d * d;
        products[j / kLanes % 2] += d * take(dy + j, n) * take(io.weight + j, n);
      });
  const float scale = 1.0f / __builtin_sqrtf(sum_of(squares[0] + squares[1]) / cols + io.eps);
  const float pull = sum_of(products[0] + products[1]) / cols * scale * scale;
  over_vectors(
      io.cols, [&](std::int64_t j, std::int64_t n) __attribute__((always_inline)) {
        const Vec d = take(x + j, n) - mean, g = take(dy + j, n);
        if (d_weight) put(d_weight + j, take(d_weight + j, n) + g * d * scale, n);
        if (d_bias) put(d_bias + j, take(d_bias + j, n) + g, n);
        put(dx + j, (g * take(io.weight + j, n) - mean_g - d * pull) * scale, n);
      });
}

/// f(x) and f'(x).
template <Activation F>
WEFT_INLINE Vec slope_of(Vec x, Vec* value) {
  if constexpr (F == Activation::kRelu) {
    *value = x < Vec{} ? Vec{} : x;
    return x > Vec{} ? splat(1.0f) : Vec{};
  }
  if constexpr (F == Activation::kSilu || F == Activation::kGeluQuick) {
    const float rate = F == Activation::kSilu ? 1.0f : 1.702f;
    const Vec s = sigmoid(x * rate);
    *value = x * s;
    return s + *value * (splat(1.0f) - s) * rate;
  }
  if constexpr (F == Activation::kGelu) {
    const Vec tail = normal_tail(magnitude(x)), below = x < Vec{} ? tail : splat(1.0f) - tail;
    *value = x * below;
    return below + x * exp(x * x * -0.5f) * 0.398942280401432678f;
  }
  if constexpr (F == Activation::kGeluTanh) {
    const Vec s = sigmoid((x + x * x * x * 0.044715f) * 1.5957691216f);
    *value = x * s;
    return s + *value * (splat(1.0f) - s) * (x * x * (3.0f * 0.044715f) + 1.0f) * 1.5957691216f;
  }
  if constexpr (F == Activation::kTanh) {
    *value = tanh(x);
    return splat(1.0f) - *value * *value;
  }
  *value = x;
  return splat(1.0f);
}

template <Activation F>
static void activate_gradient_as(const float* x, const float* up, const float* dy, float* dx, float* d_up,
                                 std::int64_t n) {
  over_vectors(
      n, [&](std::int64_t j, std::int64_t lanes) __attribute__((always_inline)) {
        Vec value;
        const Vec slope = slope_of<F>(take(x + j, lanes), &value), g = take(dy + j, lanes);
        if (up == nullptr) return put(dx + j, g * slope, lanes);
        put(dx + j, g * take(up + j, lanes) * slope, lanes);
        put(d_up + j, g * value, lanes);
      });
}

static void activate_gradient_row(const float* x, const float* up, const float* dy, float* dx, float* d_up,
                                  std::int64_t n, Activation f) {
  switch (f) {
    case Activation::kIdentity: return activate_gradient_as<Activation::kIdentity>(x, up, dy, dx, d_up, n);
    case Activation::kRelu: return activate_gradient_as<Activation::kRelu>(x, up, dy, dx, d_up, n);
    case Activation::kSilu: return activate_gradient_as<Activation::kSilu>(x, up, dy, dx, d_up, n);
    case Activation::kGelu: return activate_gradient_as<Activation::kGelu>(x, up, dy, dx, d_up, n);
    case Activation::kGeluTanh: return activate_gradient_as<Activation::kGeluTanh>(x, up, dy, dx, d_up, n);
    case Activation::kGeluQuick: return activate_gradient_as<Activation::kGeluQuick>(x, up, dy, dx, d_up, n);
    case Activation::kTanh: return activate_gradient_as<Activation::kTanh>(x, up, dy, dx, d_up, n);
  }
}

static void likelihood_row(const LikelihoodRows& io, std::int64_t row) {
  float* const scores = io.scores + row * io.ld;
  const float lowest = -__builtin_huge_valf();
  Vec top = splat(lowest);
  over_vectors(
      io.cols, [&](std::int64_t j, std::int64_t n) __attribute__((always_inline)) {
        top = larger(top, n == kLanes ? load(scores + j) : load_part(scores + j, n, lowest));
      });
  const float largest = largest_of(top), of_target = scores[io.target[row]];
  double whole = 0.0;  // of stretches: vocabularies are long
  for (std::int64_t first = 0; first < io.cols; first += 1024) {
    Vec total[2] = {};
    over_vectors(
        io.cols - first < 1024 ? io.cols - first : 1024, [&](std::int64_t j,
                                                             std::int64_t n) __attribute__((always_inline)) {
          float* const at = scores + first + j;
          const Vec e = exp((n == kLanes ? load(at) : load_part(at, n, lowest)) - largest);
          total[j / kLanes % 2] += e;
          if (io.gradient) put(at, e, n);
        });
    whole += sum_of(total[0] + total[1]);
  }
  const float sum = static_cast<float>(whole);
  io.nll[row] = largest + __builtin_logf(sum) - of_target;
  if (!io.gradient) return;
  const float scale = 1.0f / sum;
  over_vectors(
      io.cols, [&](std::int64_t j, std::int64_t n)
                   __attribute__((always_inline)) { put(scores + j, take(scores + j, n) * scale, n); });
  scores[io.target[row]] -= 1.0f;
}

static constexpr GradientKernels make_table(const char* name) {
  return GradientKernels{rms_norm_gradient_row, layer_norm_gradient_row, activate_gradient_row, likelihood_row, name};
}
