package sluice

import java.io.{BufferedOutputStream, File, FileInputStream, FileNotFoundException, FileOutputStream, IOException, InputStream}
import java.net.{HttpURLConnection, URI, URL, URLEncoder}
import java.nio.file.{AccessDeniedException, Files}
import javax.xml.parsers.DocumentBuilderFactory

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FSDataInputStream, FSDataOutputStream, FSInputStream, FileAlreadyExistsException, FileStatus, FileSystem, Path}
import org.apache.hadoop.fs.permission.FsPermission
import org.apache.hadoop.util.Progressable
import org.w3c.dom.{Document, Element}

/** s3:// for Spark: every call is one to the engine's S3, with the credentials of the job (the variables AWS_*).
  *
  * The engine knows a caller by its access key and checks no signature. An object exists once its file is closed; a
  * rename copies and deletes, as on AWS, so Spark's committers decide what becomes visible. Reads fetch ranges, so that
  * memory does not grow with objects. https://docs.aws.amazon.com/AmazonS3/latest/API/
  */
class S3FileSystem extends FileSystem {
  private var uri: URI = _
  private var bucket = ""
  private var work: Path = _
  private val client = new S3Client

  override def initialize(name: URI, conf: Configuration): Unit = {
    super.initialize(name, conf)
    setConf(conf)
    bucket = name.getAuthority
    uri = URI.create(name.getScheme + "://" + bucket)
    work = new Path(name.getScheme + "://" + bucket + "/")
  }

  override def getScheme: String = if (uri == null) "s3" else uri.getScheme
  override def getUri: URI = uri
  override def getWorkingDirectory: Path = work
  override def setWorkingDirectory(path: Path): Unit = work = path
  override def getDefaultBlockSize: Long = 64L << 20
  override def getDefaultBlockSize(path: Path): Long = getDefaultBlockSize

  private def key(path: Path): String = path.makeQualified(uri, work).toUri.getPath.stripPrefix("/")
  private def folder(key: String): String = if (key.isEmpty) "" else key + "/"
  private def pathOf(key: String): Path = new Path(uri.getScheme, bucket, "/" + key.stripSuffix("/"))
  private def directory(key: String): FileStatus = new FileStatus(0, true, 1, 0, 0, pathOf(key))
  private def file(entry: Entry): FileStatus =
    new FileStatus(entry.size, false, 1, getDefaultBlockSize, entry.modified, pathOf(entry.key))

  override def getFileStatus(path: Path): FileStatus = {
    val name = key(path)
    if (name.isEmpty) return directory("")
    client.head(bucket, name) match {
      case Some(entry) => file(entry)
      case None =>
        val found = client.list(bucket, folder(name), delimiter = false, count = 1)
        if (found.entries.isEmpty) throw new FileNotFoundException(s"No such file or directory: $path")
        directory(name)
    }
  }

  override def listStatus(path: Path): Array[FileStatus] = {
    val name = key(path)
    val found = client.list(bucket, folder(name), delimiter = true)
    if (found.entries.isEmpty && found.folders.isEmpty) {
      val own = getFileStatus(path)
      return if (own.isFile) Array(own) else Array()
    }
    found.folders.map(directory).toArray ++ found.entries.filterNot(_.key.endsWith("/")).map(file)
  }

  override def open(path: Path, bufferSize: Int): FSDataInputStream = {
    val status = getFileStatus(path)
    if (status.isDirectory) throw new FileNotFoundException(s"$path is a directory")
    new FSDataInputStream(new Input(key(path), status.getLen))
  }

  override def create(path: Path, permission: FsPermission, overwrite: Boolean, bufferSize: Int, replication: Short,
      blockSize: Long, progress: Progressable): FSDataOutputStream = {
    val name = key(path)
    if (!overwrite && client.head(bucket, name).isDefined) throw new FileAlreadyExistsException(s"$path already exists")
    new FSDataOutputStream(new Output(name), null)
  }

  override def append(path: Path, bufferSize: Int, progress: Progressable): FSDataOutputStream =
    throw new UnsupportedOperationException("Append is not supported by s3")

  override def mkdirs(path: Path, permission: FsPermission): Boolean = {
    val name = key(path)
    if (name.nonEmpty) client.put(bucket, folder(name), None)
    true
  }

  override def delete(path: Path, recursive: Boolean): Boolean = {
    val name = key(path)
    val own = try getFileStatus(path) catch { case _: FileNotFoundException => return false }
    if (own.isFile) client.delete(bucket, name)
    else {
      val below = client.list(bucket, folder(name), delimiter = false).entries
      if (!recursive && below.exists(_.key != folder(name))) throw new IOException(s"$path is not empty")
      below.foreach(entry => client.delete(bucket, entry.key))
    }
    true
  }

  override def rename(source: Path, target: Path): Boolean = {
    val from = key(source)
    val own = try getFileStatus(source) catch { case _: FileNotFoundException => return false }
    val there = try Some(getFileStatus(target)) catch { case _: FileNotFoundException => None }
    if (there.exists(_.isFile)) return false
    val to = if (there.isDefined) folder(key(target)) + source.getName else key(target)
    if (own.isFile) move(from, to)
    else client.list(bucket, folder(from), delimiter = false).entries.foreach { entry =>
      if (entry.key.endsWith("/")) client.delete(bucket, entry.key)
      else move(entry.key, folder(to) + entry.key.stripPrefix(folder(from)))
    }
    true
  }

  private def move(from: String, to: String): Unit = {
    client.copy(bucket, from, to)
    client.delete(bucket, from)
  }

  /** Reads through a window of at least 1 MiB, or as much as is asked for at once. */
  private class Input(key: String, size: Long) extends FSInputStream {
    private var at = 0L
    private var window = new Array[Byte](0)
    private var begins = 0L

    override def getPos: Long = at
    override def seekToNewSource(position: Long): Boolean = false
    override def available(): Int = math.min(size - at, Int.MaxValue.toLong).toInt
    override def seek(position: Long): Unit = {
      if (position < 0 || position > size) throw new java.io.EOFException(s"seek to $position of $size")
      at = position
    }
    override def read(): Int = {
      val one = new Array[Byte](1)
      if (read(one, 0, 1) < 0) -1 else one(0) & 0xff
    }
    override def read(target: Array[Byte], offset: Int, length: Int): Int = {
      if (length == 0) return 0
      if (at >= size) return -1
      if (at < begins || at >= begins + window.length) {
        val end = math.min(size, at + math.max(1 << 20, length)) - 1
        window = client.range(bucket, key, at, end)
        begins = at
      }
      val here = (at - begins).toInt
      val count = math.min(length, window.length - here)
      System.arraycopy(window, here, target, offset, count)
      at += count
      count
    }
  }

  /** A file until it is closed, then an object. */
  private class Output(key: String) extends java.io.OutputStream {
    private val place = Files.createTempFile("s3-", ".part").toFile
    private val out = new BufferedOutputStream(new FileOutputStream(place))
    private var closed = false

    override def write(one: Int): Unit = out.write(one)
    override def write(bytes: Array[Byte], offset: Int, length: Int): Unit = out.write(bytes, offset, length)
    override def flush(): Unit = out.flush()
    override def close(): Unit = if (!closed) {
      closed = true
      try { out.close(); client.put(bucket, key, Some(place)) } finally place.delete()
    }
  }
}

case class Entry(key: String, size: Long, modified: Long)
case class Listing(entries: Seq[Entry], folders: Seq[String])

/** The calls of S3 that a file system needs. */
class S3Client {
  private def variable(name: String): String = sys.env.getOrElse(name, "")
  private val endpoint = variable("AWS_ENDPOINT_URL")
  private val day = "20260101"
  private val authorization = s"AWS4-HMAC-SHA256 Credential=${variable("AWS_ACCESS_KEY_ID")}/$day/${variable("AWS_REGION")}" +
    "/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + "0" * 64

  private def encoded(text: String): String = URLEncoder.encode(text, "UTF-8").replace("+", "%20")
  private def address(bucket: String, key: String): String = s"$endpoint/$bucket/${key.split("/", -1).map(encoded).mkString("/")}"

  private def call(method: String, address: String, headers: Map[String, String] = Map(), body: Option[File] = None): HttpURLConnection = {
    val connection = new URL(address).openConnection(java.net.Proxy.NO_PROXY).asInstanceOf[HttpURLConnection]
    connection.setRequestMethod(method)
    connection.setRequestProperty("Authorization", authorization)
    connection.setRequestProperty("x-amz-date", day + "T000000Z")
    connection.setRequestProperty("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    connection.setRequestProperty("X-Amz-Security-Token", variable("AWS_SESSION_TOKEN"))
    headers.foreach { case (name, value) => connection.setRequestProperty(name, value) }
    if (method == "PUT") {
      connection.setDoOutput(true)
      connection.setRequestProperty("Content-Type", "application/octet-stream")
      connection.setFixedLengthStreamingMode(body.map(_.length).getOrElse(0L))
      val out = connection.getOutputStream
      try body.foreach(file => Files.copy(file.toPath, out)) finally out.close()
    }
    connection
  }

  private def read(stream: InputStream): Array[Byte] = if (stream == null) Array() else try stream.readAllBytes() finally stream.close()

  /** The body, or an exception with S3's words. */
  private def answer(connection: HttpURLConnection, what: String): Array[Byte] = {
    val status = connection.getResponseCode
    if (status < 300) return read(connection.getInputStream)
    fail(status, new String(read(connection.getErrorStream), "UTF-8"), what)
  }

  private def fail(status: Int, body: String, what: String): Nothing = {
    def tag(name: String) = s"<$name>([^<]*)</$name>".r.findFirstMatchIn(body).map(_.group(1)).getOrElse("")
    val said = s"${tag("Message")} (Service: Amazon S3; Status Code: $status; Error Code: ${tag("Code")})"
    if (status == 403) throw new AccessDeniedException(what, null, if (body.isEmpty) "Access Denied (Service: Amazon S3; Status Code: 403)" else said)
    if (status == 404) throw new FileNotFoundException(s"$what: $said")
    throw new IOException(s"$what: $said")
  }

  def head(bucket: String, key: String): Option[Entry] = {
    val connection = call("HEAD", address(bucket, key))
    val status = connection.getResponseCode
    read(if (status < 300) connection.getInputStream else connection.getErrorStream)
    if (status == 404) None
    else if (status >= 300) fail(status, "", s"s3://$bucket/$key")
    else Some(Entry(key, connection.getContentLengthLong, connection.getLastModified))
  }

  def range(bucket: String, key: String, first: Long, last: Long): Array[Byte] =
    answer(call("GET", address(bucket, key), Map("Range" -> s"bytes=$first-$last")), s"s3://$bucket/$key")

  def put(bucket: String, key: String, body: Option[File]): Unit =
    answer(call("PUT", address(bucket, key), body = body), s"s3://$bucket/$key")

  def copy(bucket: String, from: String, to: String): Unit = {
    val source = s"/$bucket/" + from.split("/", -1).map(encoded).mkString("/")
    answer(call("PUT", address(bucket, to), Map("x-amz-copy-source" -> source)), s"s3://$bucket/$to")
  }

  def delete(bucket: String, key: String): Unit = answer(call("DELETE", address(bucket, key)), s"s3://$bucket/$key")

  def list(bucket: String, prefix: String, delimiter: Boolean, count: Int = 1000): Listing = {
    val entries = Seq.newBuilder[Entry]
    val folders = Seq.newBuilder[String]
    val base = s"$endpoint/$bucket?list-type=2&encoding-type=url&max-keys=$count&prefix=${encoded(prefix)}" + (if (delimiter) "&delimiter=%2F" else "")
    var token: Option[String] = Some("")
    while (token.isDefined) {
      val more = if (token.get.isEmpty) "" else s"&continuation-token=${encoded(token.get)}"
      val body = answer(call("GET", base + more), s"s3://$bucket/$prefix")
      val document = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(new java.io.ByteArrayInputStream(body))
      for (one <- elements(document, "Contents"))
        entries += Entry(decoded(text(one, "Key")), text(one, "Size").toLong, S3Client.time(text(one, "LastModified")))
      for (one <- elements(document, "CommonPrefixes")) folders += decoded(text(one, "Prefix"))
      token = elements(document, "NextContinuationToken").headOption.map(_.getTextContent).filter(_ => count == 1000)
    }
    Listing(entries.result(), folders.result())
  }

  private def decoded(text: String): String = java.net.URLDecoder.decode(text, "UTF-8")
  private def text(parent: Element, name: String): String = parent.getElementsByTagName(name).item(0).getTextContent
  private def elements(document: Document, name: String): Seq[Element] = {
    val found = document.getElementsByTagName(name)
    (0 until found.getLength).map(found.item(_).asInstanceOf[Element])
  }
}

object S3Client {
  def time(text: String): Long = java.time.Instant.parse(text).toEpochMilli
}
