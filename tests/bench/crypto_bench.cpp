#include <benchmark/benchmark.h>

#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "crypto/merkle.h"
#include "crypto/random.h"
#include "crypto/sign.h"
#include "crypto/stream.h"

namespace casevault {
namespace {

[[maybe_unused]] const bool kReady = (init_crypto(), true);

void count_bytes(benchmark::State& state, std::size_t size) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * size));
}

void BM_SealChunk(benchmark::State& state) {
  ChunkCipher cipher(PayloadKey::random());
  const Bytes plain(kChunkSize);
  Bytes sealed(kSealedChunkSize);
  std::uint64_t number = 0;
  for (auto _ : state) cipher.seal(number++, false, plain, sealed);
  count_bytes(state, kChunkSize);
}
BENCHMARK(BM_SealChunk);

void BM_OpenChunk(benchmark::State& state) {
  ChunkCipher cipher(PayloadKey::random());
  Bytes plain(kChunkSize), sealed(kSealedChunkSize);
  cipher.seal(0, false, plain, sealed);
  for (auto _ : state) benchmark::DoNotOptimize(cipher.open(0, false, sealed, plain));
  count_bytes(state, kChunkSize);
}
BENCHMARK(BM_OpenChunk);

void BM_Sha256(benchmark::State& state) {
  const Bytes data(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(sha256(data));
  count_bytes(state, data.size());
}
BENCHMARK(BM_Sha256)->Arg(64)->Arg(512)->Arg(kChunkSize);

void BM_MerkleAppend(benchmark::State& state) {
  MerkleFrontier frontier;
  const TreeHash leaf = merkle_leaf_hash(as_bytes("leaf"));
  for (auto _ : state) frontier.append(leaf);
}
BENCHMARK(BM_MerkleAppend);

void BM_Sign(benchmark::State& state) {
  const SigningKey key = SigningKey::random();
  const Bytes message(512);
  for (auto _ : state) benchmark::DoNotOptimize(key.sign("bench", message));
}
BENCHMARK(BM_Sign);

void BM_Verify(benchmark::State& state) {
  const SigningKey key = SigningKey::random();
  const Bytes message(512);
  const Signature signature = key.sign("bench", message);
  for (auto _ : state) benchmark::DoNotOptimize(verify(key.verify_key(), "bench", message, signature));
}
BENCHMARK(BM_Verify);

void BM_DeriveKey(benchmark::State& state) {
  const CaseKey key = CaseKey::random();
  for (auto _ : state) benchmark::DoNotOptimize(derive_key<DatabaseKey>(key, "casevault/v1/bench"));
}
BENCHMARK(BM_DeriveKey);

void BM_Argon2(benchmark::State& state) {
  const SecretBytes passphrase = SecretBytes::copy_of(as_bytes("correct horse battery staple"));
  const Argon2Cost cost{3, static_cast<std::uint64_t>(state.range(0)) << 20};
  for (auto _ : state) benchmark::DoNotOptimize(stretch_passphrase(passphrase, {}, cost));
}
BENCHMARK(BM_Argon2)->ArgName("MiB")->Arg(64)->Arg(256)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace casevault
