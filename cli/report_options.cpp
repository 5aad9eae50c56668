#include "cli/report_options.hpp"

#include "cli/numbers.hpp"
#include "cli/option_parsers.hpp"

namespace softsnp::cli {
namespace {

void add_common(CLI::App& app, ReportOptions& options) {
  app.add_option("file", options.file,
                 "the report: 1184 bytes, or with the firmware's message around it")
      ->required()
      ->type_name("FILE");
  app.add_flag("--json", options.json, "one JSON object instead of lines");
}

void add_verify(CLI::App& app, ReportOptions& options) {
  auto* const directory =
      app.add_option("--certs", options.certificates,
                     "directory with ark, ask, asvk, vcek, vlek and crl as .pem or .der")
          ->type_name("DIR");
  app.add_option("--chain", options.chain,
                 "certificates in PEM or DER, bundles, the certificate table of an extended "
                 "request; the ARK among them is trusted")
      ->type_name("FILE")
      ->excludes(directory);
  app.add_option("--crl", options.revocations, "revocation list of the ARK, PEM or DER")
      ->type_name("FILE");
  app.add_option("--policy", options.policy, "JSON: what the report must say")->type_name("FILE");
  add(app, "--at", options.at, parse_time, "holds certificates against that time, default now",
      "YYYY-MM-DD, YYYY-MM-DDThh:mm:ssZ or seconds since 1970");
  app.add_option("--id-block", options.id_block, "the ID block the guest was launched with")
      ->type_name("FILE");
  app.add_option("--id-auth", options.id_auth, "and its authentication information")
      ->type_name("FILE");
}

}  // namespace

void add_report_options(CLI::App& app, ReportOptions& options) {
  app.require_subcommand(1);
  add_common(*app.add_subcommand("show", "prints every field"), options);
  CLI::App& verify = *app.add_subcommand(
      "verify", "checks signature, certificates and policy; exit status 6 if one does not hold");
  add_common(verify, options);
  add_verify(verify, options);
  verify.callback([&options] { options.verify = true; });
}

std::optional<std::string> complete(ReportOptions& options) {
  if (!options.verify) {
    return std::nullopt;
  }
  if (options.certificates.empty() && options.chain.empty()) {
    return "--certs or --chain is missing";
  }
  if (options.id_block.empty() != options.id_auth.empty()) {
    return "--id-block and --id-auth need each other";
  }
  return std::nullopt;
}

}  // namespace softsnp::cli
