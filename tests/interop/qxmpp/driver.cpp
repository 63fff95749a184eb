//! Sends or receives one file with QXmpp (QXmppTransferManager), over SOCKS5 bytestreams or in-band.

#include <QXmppClient.h>
#include <QXmppLogger.h>
#include <QXmppPresence.h>
#include <QXmppTransferManager.h>

#include <QCoreApplication>
#include <QDomElement>
#include <QFile>
#include <QSslCertificate>
#include <QTimer>

#include "../driver.h"

using driver::Line;
using driver::Options;
using driver::Role;
using driver::Transport;

namespace {

const char *const SOCKS5 = "http://jabber.org/protocol/bytestreams";

// Looks at the hosts of a stream that is received: QXmpp does not tell which one it has dialled.
class Manager : public QXmppTransferManager {
 public:
  explicit Manager(const driver::Place &proxy) : proxy_(proxy) {}

  bool handleStanza(const QDomElement &element) override {
    const auto query = element.firstChildElement("query");
    auto host = query.firstChildElement("streamhost");
    for (; query.namespaceURI() == SOCKS5 && !host.isNull(); host = host.nextSiblingElement("streamhost")) {
      const bool same = host.attribute("host").toStdString() == proxy_.host && host.attribute("port").toInt() == proxy_.port;
      (same ? proxies_ : others_) += 1;
    }
    return QXmppTransferManager::handleStanza(element);
  }

  Transport told() const { return proxies_ > 0 && others_ == 0 ? Transport::Socks5Proxy : Transport::Socks5Direct; }

 private:
  const driver::Place proxy_;
  int proxies_ = 0, others_ = 0;
};

class Driver {
 public:
  explicit Driver(const Options &options) : options_(options), files_(new Manager(options.proxy)) {
    client_.addExtension(files_);
    const bool ibb = options.transport == Transport::Ibb;
    files_->setSupportedMethods(ibb ? QXmppTransferJob::InBandMethod : QXmppTransferJob::SocksMethod);
    if (options.transport == Transport::Socks5Proxy) {
      files_->setProxy(QString::fromStdString(options.proxy.jid));
      files_->setProxyOnly(true);
    }
    QObject::connect(&client_, &QXmppClient::connected, [this] { online(); });
    QObject::connect(&client_, &QXmppClient::error, [this](QXmppClient::Error error) {
      fail("the session failed: " + std::to_string(error) + ", " + std::to_string(client_.xmppStreamError()));
    });
    QObject::connect(&client_, &QXmppClient::presenceReceived, [this](const QXmppPresence &presence) {
      const bool is_peer = driver::bare(presence.from().toStdString()) == driver::bare(options_.to);
      if (!options_.contact || !is_peer || presence.type() != QXmppPresence::Subscribe) return;
      // It gets what it asked for first.
      QTimer::singleShot(0, &client_, [this] { if (path_.empty()) offer(); });
    });
    QObject::connect(files_, &QXmppTransferManager::fileReceived, [this](QXmppTransferJob *job) { offered(job); });
    QTimer::singleShot(std::chrono::seconds(options.deadline), &client_, [this] { fail("the deadline passed"); });
  }

  void start() {
    QXmppConfiguration account;
    account.setJid(QString::fromStdString(options_.jid));
    account.setPassword(QString::fromStdString(options_.password));
    account.setHost(QString::fromStdString(options_.server.host));
    account.setPort(options_.server.port);
    account.setStreamSecurityMode(QXmppConfiguration::TLSRequired);
    account.setCaCertificates(QSslCertificate::fromPath(QString::fromStdString(options_.ca)));
    account.setAutoReconnectionEnabled(false);
    // Whoever asks for our presence gets it, and is asked for theirs.
    account.setAutoAcceptSubscriptions(true);
    if (options_.verbose) {
      client_.logger()->setLoggingType(QXmppLogger::SignalLogging);
      QObject::connect(client_.logger(), &QXmppLogger::message, [](QXmppLogger::MessageType, const QString &text) {
        std::fprintf(stderr, "%s\n", qPrintable(text));
      });
    }
    client_.connectToServer(account);
  }

 private:
  void online() {
    Line("online").with("jid", client_.configuration().jid().toStdString()).print();
    if (options_.role == Role::Send && !options_.contact) offer();
  }

  void offer() {
    path_ = options_.file;
    auto *job = files_->sendFile(QString::fromStdString(options_.to), QString::fromStdString(path_));
    if (job == nullptr) return fail("QXmpp does not send such a file");
    Line("offered").with("to", options_.to).with("name", job->fileName().toStdString()).with("size", job->fileSize()).print();
    watch(job);
  }

  void offered(QXmppTransferJob *job) {
    const auto name = job->fileName().toStdString();
    if (options_.role == Role::Send || !path_.empty()) return job->abort();
    Line("offered").with("from", job->jid().toStdString()).with("name", name).with("size", job->fileSize()).print();
    try {
      path_ = driver::target(options_, name);
    } catch (const std::exception &why) {
      return fail(why.what());
    }
    // A file of QXmpp's own would be flushed only when the job is deleted.
    into_.setFileName(QString::fromStdString(path_));
    if (!into_.open(QIODevice::WriteOnly | QIODevice::Unbuffered)) return fail("cannot write " + path_);
    watch(job);
    job->accept(&into_);
  }

  void watch(QXmppTransferJob *job) {
    QObject::connect(job, &QXmppTransferJob::stateChanged, [this, job](QXmppTransferJob::State state) {
      if (state == QXmppTransferJob::StartState) Line("accepted").print();
      if (state == QXmppTransferJob::TransferState) Line("transport").with("transport", name_of(used(*job))).print();
    });
    QObject::connect(job, &QXmppTransferJob::finished, [this, job] {
      if (job->error() != QXmppTransferJob::NoError) return fail("the transfer failed: " + std::to_string(job->error()));
      try {
        driver::done(path_);
        end(0);
      } catch (const std::exception &why) {
        fail(why.what());
      }
    });
  }

  Transport used(const QXmppTransferJob &job) const {
    if (job.method() == QXmppTransferJob::InBandMethod) return Transport::Ibb;
    // Of its own hosts and the proxy it offers one alone.
    return options_.role == Role::Send ? options_.transport : files_->told();
  }

  void fail(const std::string &why) {
    if (ended_) return;
    Line("failed").with("why", why).print();
    end(1);
  }

  void end(int code) {
    ended_ = true;
    client_.disconnectFromServer();
    // What is still to be written is written by the event loop.
    QTimer::singleShot(0, [code] { QCoreApplication::exit(code); });
  }

  const Options options_;
  QXmppClient client_;
  Manager *files_;
  QFile into_;
  std::string path_;
  bool ended_ = false;
};

}  // namespace

int main(int count, char **words) {
  QCoreApplication application(count, words);
  try {
    Driver driver(driver::options(count, words));
    QTimer::singleShot(0, [&driver] { driver.start(); });
    return application.exec();
  } catch (const std::exception &why) {
    Line("failed").with("why", why.what()).print();
    return 1;
  }
}
