// The loops of attend.h; see versions.inl. Heads are copied into rows padded with zeros to whole vectors, so that no
// product has a remainder in its columns.

/// Queries that are done together: few enough that a causal head skips most of what it does not see.
static constexpr std::int64_t kQueryBlock = 24;

WEFT_INLINE std::int64_t padded(std::int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

/// c [M, N · kLanes] (+)= a [M, count] · b [count, N · kLanes]; number (i, p) of a at a[i * row + p * column].
template <int M, int N>
WEFT_INLINE void product_tile(const float* a, std::int64_t row, std::int64_t column, const float* b, std::int64_t ldb,
                              float* c, std::int64_t ldc, std::int64_t count, bool add) {
  Vec sum[M][N] = {};
  for (std::int64_t p = 0; p < count; ++p) {
    Vec right[N];
    for (int j = 0; j < N; ++j) right[j] = load(b + p * ldb + j * kLanes);
    for (int i = 0; i < M; ++i) {
      const Vec left = splat(a[i * row + p * column]);
      for (int j = 0; j < N; ++j) sum[i][j] += left * right[j];
    }
  }
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < N; ++j) {
      float* to = c + i * ldc + j * kLanes;
      store(to, add ? load(to) + sum[i][j] : sum[i][j]);
    }
}

template <int N>
WEFT_INLINE void product_columns(const float* a, std::int64_t row, std::int64_t column, const float* b,
                                 std::int64_t ldb, float* c, std::int64_t ldc, std::int64_t m, std::int64_t count,
                                 bool add) {
  std::int64_t i = 0;
  for (; i + 6 <= m; i += 6) product_tile<6, N>(a + i * row, row, column, b, ldb, c + i * ldc, ldc, count, add);
  for (; i + 2 <= m; i += 2) product_tile<2, N>(a + i * row, row, column, b, ldb, c + i * ldc, ldc, count, add);
  if (i < m) product_tile<1, N>(a + i * row, row, column, b, ldb, c + i * ldc, ldc, count, add);
}

/// c [m, n] (+)= a · b; n a multiple of kLanes.
static void head_product(const float* a, std::int64_t row, std::int64_t column, const float* b, std::int64_t ldb,
                         float* c, std::int64_t ldc, std::int64_t m, std::int64_t n, std::int64_t count, bool add) {
  std::int64_t j = 0;
  for (; j + 2 * kLanes <= n; j += 2 * kLanes)
    product_columns<2>(a, row, column, b + j, ldb, c + j, ldc, m, count, add);
  if (j < n) product_columns<1>(a, row, column, b + j, ldb, c + j, ldc, m, count, add);
}

/// Calls step(j, n) for every vector of n numbers: n lanes from j on, n = kLanes but for the last one.
template <class Step>
WEFT_INLINE void over_lanes(std::int64_t count, Step step) {
  std::int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) step(j, std::int64_t{kLanes});
  if (j < count) step(j, count - j);
}

WEFT_INLINE Vec lanes_at(const float* p, std::int64_t n) { return n == kLanes ? load(p) : load_part(p, n); }
WEFT_INLINE void set_lanes(float* p, Vec v, std::int64_t n) { n == kLanes ? store(p, v) : store_part(p, v, n); }

/// A head of one token, turned by `sign` times its angles.
WEFT_INLINE void copy_head(const AttendShape& shape, const float* from, std::int64_t token, bool turns, float sign,
                           float* to) {
  const std::int64_t half = turns ? shape.turned / 2 : 0;
  const float* cos = shape.cos + token * half;
  const float* sin = shape.sin + token * half;
  over_lanes(
      half, [&](std::int64_t j, std::int64_t n) __attribute__((always_inline)) {
        const Vec a = lanes_at(from + j, n), b = lanes_at(from + half + j, n), c = lanes_at(cos + j, n);
        const Vec s = lanes_at(sin + j, n) * sign;
        set_lanes(to + j, a * c - b * s, n);
        set_lanes(to + half + j, b * c + a * s, n);
      });
  over_lanes(
      shape.head_dim - 2 * half, [&](std::int64_t j, std::int64_t n) __attribute__((always_inline)) {
        set_lanes(to + 2 * half + j, lanes_at(from + 2 * half + j, n), n);
      });
}

/// Heads of `count` tokens as rows of `ld` floats.
static void pack_rows(const AttendShape& shape, const HeadRows<const float>& from, std::int64_t head,
                      std::int64_t first, std::int64_t count, bool turns, float* to, std::int64_t ld) {
  for (std::int64_t t = 0; t < count; ++t) {
    float* row = to + t * ld;
    copy_head(shape, from.data + (first + t) * from.token + head * from.head, first + t, turns, 1.0f, row);
    for (std::int64_t j = shape.head_dim; j < ld; ++j) row[j] = 0.0f;
  }
}

static void unpack_rows(const AttendShape& shape, const float* from, std::int64_t ld, const HeadRows<float>& to,
                        std::int64_t head, std::int64_t first, std::int64_t count, bool turns) {
  for (std::int64_t t = 0; t < count; ++t)
    copy_head(shape, from + t * ld, first + t, turns, -1.0f, to.data + (first + t) * to.token + head * to.head);
}

/// [rows, columns] with row stride ld -> its transpose with row stride `ldt`, zeros behind `rows`.
static void transpose_rows(const float* from, std::int64_t ld, std::int64_t rows, std::int64_t columns, float* to,
                           std::int64_t ldt) {
  for (std::int64_t j = 0; j < columns; ++j) {
    for (std::int64_t i = 0; i < rows; ++i) to[j * ldt + i] = from[i * ld + j];
    for (std::int64_t i = rows; i < ldt; ++i) to[j * ldt + i] = 0.0f;
  }
}

/// What a query of a head sees, and what is added to its scores.
struct ScoreRow {
  std::int64_t query, begin, end;  ///< keys [begin, end)
  const float* bias;               ///< [keys] or null
  float slope;
};

WEFT_INLINE ScoreRow score_row(const AttendShape& shape, const AttendSequence& s, std::int64_t head,
                               std::int64_t query) {
  ScoreRow row = {query, 0, s.keys, nullptr, shape.slopes ? shape.slopes[head] : 0.0f};
  if (shape.causal && query + 1 < row.end) row.end = query + 1;
  if (shape.window > 0 && query - shape.window + 1 > 0) row.begin = query - shape.window + 1;
  if (s.bias) row.bias = s.bias + (head * s.queries + query) * s.keys;
  return row;
}

/// Distances of the lanes' keys, first key j.
WEFT_INLINE Vec places(std::int64_t j) {
  Vec v = {};
  for (int l = 0; l < kLanes; ++l) v[l] = static_cast<float>(j + l);
  return v;
}

/// The scores of kLanes keys from j on, before what hides them; `bend` receives 1 − tanh² of a softcap.
WEFT_INLINE Vec score_of(const AttendShape& shape, const ScoreRow& row, Vec product, std::int64_t j, std::int64_t keys,
                         Vec* bend) {
  Vec score = product * shape.scale;
  if (shape.softcap != 0.0f) {
    const Vec bent = tanh(score * (1.0f / shape.softcap));
    *bend = splat(1.0f) - bent * bent;
    score = bent * shape.softcap;
  }
  if (row.slope != 0.0f) score += (places(j) - static_cast<float>(row.query)) * row.slope;
  if (row.bias) score += j + kLanes <= keys ? load(row.bias + j) : load_part(row.bias + j, keys - j);
  return score;
}

/// `v` where the keys from j on are seen, `other` elsewhere.
WEFT_INLINE Vec where_seen(const ScoreRow& row, std::int64_t j, Vec v, float other) {
  if (j >= row.begin && j + kLanes <= row.end) return v;
  for (int l = 0; l < kLanes; ++l)
    if (j + l < row.begin || j + l >= row.end) v[l] = other;
  return v;
}

/// Products become exp(score − the largest); returns their sum.
static float soften_row(const AttendShape& shape, const ScoreRow& row, std::int64_t keys, float* products,
                        std::int64_t n, float* largest) {
  const float lowest = -__builtin_huge_valf();
  Vec top = splat(lowest), bend = {};
  for (std::int64_t j = 0; j < n; j += kLanes) {
    const Vec score = where_seen(row, j, score_of(shape, row, load(products + j), j, keys, &bend), lowest);
    store(products + j, score);
    top = larger(top, score);
  }
  *largest = largest_of(top);
  Vec total = {};
  for (std::int64_t j = 0; j < n; j += kLanes) {
    const Vec e = exp(load(products + j) - *largest);
    store(products + j, e);
    total += e;
  }
  return sum_of(total);
}

/// Products become probabilities; their gradients become those of the products.
static void soften_gradient_row(const AttendShape& shape, const ScoreRow& row, std::int64_t keys, float log_sum,
                                float inner, float* products, float* gradients, std::int64_t n) {
  for (std::int64_t j = 0; j < n; j += kLanes) {
    Vec bend = splat(1.0f);
    const Vec score = score_of(shape, row, load(products + j), j, keys, &bend);
    const Vec p = where_seen(row, j, exp(score - log_sum), 0.0f);
    store(products + j, p);
    store(gradients + j, where_seen(row, j, p * (load(gradients + j) - inner) * bend * shape.scale, 0.0f));
  }
}

/// Scratch of one head of one sequence.
struct HeadRoom {
  std::int64_t width, keys;  ///< padded
  float *k_turned, *v_turned, *k, *v, *dk, *dv;
  float *q, *d_out, *out, *scores, *gradients;
};

static std::int64_t divide_room(const AttendShape& shape, const AttendSequence& s, bool backward, float* at,
                                HeadRoom* room) {
  float* const begin = at;
  const auto take = [&](std::int64_t n) {
    float* const place = at;
    at += n;
    return place;
  };
  const std::int64_t width = padded(shape.head_dim), keys = padded(s.keys);
  room->width = width, room->keys = keys;
  room->k_turned = take(shape.head_dim * keys);
  room->k = take(s.keys * width);
  room->v = take(s.keys * width);
  room->q = take(kQueryBlock * width);
  room->out = take(kQueryBlock * width);
  room->scores = take(kQueryBlock * keys);
  if (!backward) return at - begin;
  room->v_turned = take(shape.head_dim * keys);
  room->dk = take(s.keys * width);
  room->dv = take(s.keys * width);
  room->d_out = take(kQueryBlock * width);
  room->gradients = take(kQueryBlock * keys);
  return at - begin;
}

static std::int64_t head_room(const AttendShape& shape, const AttendSequence& s, bool backward) {
  float none = 0.0f;
  HeadRoom room;
  return divide_room(shape, s, backward, &none, &room);
}

/// Keys, padded, that some of the queries before `end` see.
WEFT_INLINE std::int64_t seen_keys(const AttendShape& shape, const AttendSequence& s, std::int64_t end) {
  const std::int64_t last = shape.causal && end < s.keys ? end : s.keys;
  return padded(last);
}

static void forward_head(const AttendShape& shape, const AttendSequence& s, std::int64_t kv_head,
                         const AttendInputs& in, float* out, float* log_sum, float* scratch) {
  HeadRoom room;
  divide_room(shape, s, false, scratch, &room);
  const std::int64_t width = room.width, group = shape.heads / shape.kv_heads;
  pack_rows(shape, in.k, kv_head, s.key, s.keys, true, room.k, width);
  pack_rows(shape, in.v, kv_head, s.key, s.keys, false, room.v, width);
  transpose_rows(room.k, width, s.keys, shape.head_dim, room.k_turned, room.keys);
  for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head)
    for (std::int64_t first = 0; first < s.queries; first += kQueryBlock) {
      const std::int64_t m = s.queries - first < kQueryBlock ? s.queries - first : kQueryBlock;
      const std::int64_t n = seen_keys(shape, s, first + m), rows = n < s.keys ? n : s.keys;
      pack_rows(shape, in.q, head, s.query + first, m, true, room.q, width);
      head_product(room.q, width, 1, room.k_turned, room.keys, room.scores, room.keys, m, n, shape.head_dim, false);
      float scale[kQueryBlock];
      for (std::int64_t i = 0; i < m; ++i) {
        float largest = 0.0f;
        const ScoreRow row = score_row(shape, s, head, first + i);
        const float sum = soften_row(shape, row, s.keys, room.scores + i * room.keys, n, &largest);
        scale[i] = 1.0f / sum;
        if (log_sum) log_sum[(s.query + first + i) * shape.heads + head] = largest + __builtin_logf(sum);
      }
      head_product(room.scores, room.keys, 1, room.v, width, room.out, width, m, width, rows, false);
      for (std::int64_t i = 0; i < m; ++i) {
        float* to = out + ((s.query + first + i) * shape.heads + head) * shape.head_dim;
        over_lanes(
            shape.head_dim, [&](std::int64_t j, std::int64_t lanes) __attribute__((always_inline)) {
              set_lanes(to + j, lanes_at(room.out + i * width + j, lanes) * scale[i], lanes);
            });
      }
    }
}

/// Queries [first, first + m) of a head: adds to dk and dv of the scratch, writes dq.
static void backward_block(const AttendShape& shape, const AttendSequence& s, std::int64_t head, std::int64_t first,
                           std::int64_t m, const AttendInputs& in, const AttendGradients& g, const HeadRoom& room) {
  const std::int64_t width = room.width, n = seen_keys(shape, s, first + m), rows = n < s.keys ? n : s.keys;
  const std::int64_t token = s.query + first;
  pack_rows(shape, in.q, head, token, m, true, room.q, width);
  pack_rows(shape, g.d_out, head, token, m, false, room.d_out, width);
  head_product(room.q, width, 1, room.k_turned, room.keys, room.scores, room.keys, m, n, shape.head_dim, false);
  head_product(room.d_out, width, 1, room.v_turned, room.keys, room.gradients, room.keys, m, n, shape.head_dim, false);
  for (std::int64_t i = 0; i < m; ++i) {
    const float* out = g.out + ((token + i) * shape.heads + head) * shape.head_dim;
    Vec products = {};
    over_lanes(
        shape.head_dim, [&](std::int64_t j, std::int64_t lanes) __attribute__((always_inline)) {
          products += lanes_at(out + j, lanes) * lanes_at(room.d_out + i * width + j, lanes);
        });
    const float inner = sum_of(products);
    soften_gradient_row(shape, score_row(shape, s, head, first + i), s.keys,
                        g.log_sum[(token + i) * shape.heads + head], inner, room.scores + i * room.keys,
                        room.gradients + i * room.keys, n);
  }
  head_product(room.gradients, room.keys, 1, room.k, width, room.out, width, m, width, rows, false);
  unpack_rows(shape, room.out, width, g.dq, head, token, m, true);
  head_product(room.gradients, 1, room.keys, room.q, width, room.dk, width, rows, width, m, true);
  head_product(room.scores, 1, room.keys, room.d_out, width, room.dv, width, rows, width, m, true);
}

static void backward_head(const AttendShape& shape, const AttendSequence& s, std::int64_t kv_head,
                          const AttendInputs& in, const AttendGradients& g, float* scratch) {
  HeadRoom room;
  divide_room(shape, s, true, scratch, &room);
  const std::int64_t width = room.width, group = shape.heads / shape.kv_heads;
  pack_rows(shape, in.k, kv_head, s.key, s.keys, true, room.k, width);
  pack_rows(shape, in.v, kv_head, s.key, s.keys, false, room.v, width);
  transpose_rows(room.k, width, s.keys, shape.head_dim, room.k_turned, room.keys);
  transpose_rows(room.v, width, s.keys, shape.head_dim, room.v_turned, room.keys);
  for (std::int64_t i = 0; i < s.keys * width; i += kLanes) store(room.dk + i, Vec{}), store(room.dv + i, Vec{});
  for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head)
    for (std::int64_t first = 0; first < s.queries; first += kQueryBlock) {
      const std::int64_t m = s.queries - first < kQueryBlock ? s.queries - first : kQueryBlock;
      backward_block(shape, s, head, first, m, in, g, room);
    }
  unpack_rows(shape, room.dk, width, g.dk, kv_head, s.key, s.keys, true);
  unpack_rows(shape, room.dv, width, g.dv, kv_head, s.key, s.keys, false);
}

static constexpr AttendKernels make_table(const char* name) {
  return AttendKernels{head_room, forward_head, backward_head, name};
}
